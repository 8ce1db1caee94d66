//! What the machine, or the container, has: memory and disk.

use std::io;
use std::path::{Component, Path};

/// Assumed where the system tells nothing.
const UNKNOWN_MEMORY: u64 = 1 << 30;

/// Bytes of memory that this process may use: those of the machine, or of its control group if that
/// is smaller.
pub(super) fn memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total_memory(&text));
    let group = std::fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|groups| group_limit(&groups, Path::new("/sys/fs/cgroup")));
    match (machine, group) {
        (Some(machine), Some(group)) => machine.min(group),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => UNKNOWN_MEMORY,
    }
}

/// The least limit of the control groups that this process is in, and of those around them: a
/// service's own, a container's. `mounted` is where the system shows control groups.
fn group_limit(groups: &str, mounted: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, file) = if controllers.is_empty() {
            (mounted.to_owned(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (mounted.join("memory"), "memory.limit_in_bytes")
        } else {
            return None;
        };
        // A group outside of what a container may see is written with `..`; there is only the root.
        let path = Path::new(path.trim_start_matches('/'));
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let path = if inside { path } else { Path::new("") };
        path.ancestors()
            .filter_map(|group| limit_in(&root.join(group).join(file)))
            .min()
    });
    limits.min()
}

/// The limit in a file; `None` if it is not there or says "max".
fn limit_in(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The size of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DiskSpace {
    /// Bytes that this process can still write.
    pub(super) free: u64,
    /// Bytes in all.
    pub(super) total: u64,
}

/// The disk that holds a directory.
///
/// # Errors
/// When the system does not tell.
pub(super) fn disk(directory: &Path) -> io::Result<DiskSpace> {
    let found = rustix::fs::statvfs(directory)?;
    Ok(DiskSpace {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// The process that listens on a TCP port of this machine, as `name (pid)`, if the system tells.
pub(super) fn port_holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|table| listening_inode(&table, port).map(str::to_owned))?;
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let files = std::fs::read_dir(process.path().join("fd")).ok()?;
        let holds = files
            .flatten()
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|target| target.as_os_str() == socket.as_str());
        let name = std::fs::read_to_string(process.path().join("comm")).ok();
        holds.then(|| format!("{} (pid {pid})", name.unwrap_or_default().trim()))
    })
}

/// The inode of the socket that listens on a port, in a table of the kernel.
fn listening_inode(table: &str, port: u16) -> Option<&str> {
    const LISTENING: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let here = u16::from_str_radix(local, 16).ok()? == port;
        (here && *fields.get(3)? == LISTENING).then(|| fields.get(9).copied())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        let text = "MemTotal:       24588280 kB\nMemFree:         1 kB\n";
        assert_eq!(total_memory(text), Some(24_588_280 * 1024));
        assert_eq!(total_memory("nothing"), None);
        assert!(memory() > 1 << 20);
    }

    /// A tree of control groups with these files.
    fn groups(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        root
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_around_it_holds() {
        let root = groups(&[
            ("system.slice/memory.max", "3000\n"),
            ("system.slice/tidegate.service/memory.max", "max\n"),
            ("other.slice/memory.max", "1\n"),
        ]);
        let limit = |line: &str| group_limit(line, root.path());
        assert_eq!(limit("0::/system.slice/tidegate.service\n"), Some(3000));
        assert_eq!(limit("0::/\n"), None);
        let service = root.path().join("system.slice/tidegate.service/memory.max");
        std::fs::write(service, "2000\n").unwrap();
        assert_eq!(limit("0::/system.slice/tidegate.service\n"), Some(2000));
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_root() {
        let root = groups(&[
            ("memory.max", "5000\n"),
            ("memory/memory.limit_in_bytes", "4000\n"),
        ]);
        let limit = |lines: &str| group_limit(lines, root.path());
        assert_eq!(limit("0::/../../elsewhere\n"), Some(5000));
        assert_eq!(limit("5:cpu,memory:/docker/4711\n3:pids:/x\n"), Some(4000));
        assert_eq!(limit("3:pids:/x\nnonsense\n"), None);
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let holder = port_holder(port).expect("this process holds it");
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    }
}
