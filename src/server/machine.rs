//! What the machine, or the container, has: memory and disk.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// The process that listens where this address could not be listened on, as `name (pid)`, if the
/// system tells.
pub(super) fn port_holder(address: SocketAddr) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|table| listening_inode(&table, address).map(str::to_owned))?;
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

/// The inode of the socket that listens on an address or on all, in a table of the kernel.
fn listening_inode(table: &str, address: SocketAddr) -> Option<&str> {
    const LISTENING: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (host, port) = fields.get(1)?.rsplit_once(':')?;
        let host = table_address(host)?;
        let same = host == address.ip() || host.is_unspecified() || address.ip().is_unspecified();
        let here = u16::from_str_radix(port, 16).ok()? == address.port();
        (same && here && *fields.get(3)? == LISTENING).then(|| fields.get(9).copied())?
    })
}

/// An address as the kernel's tables show it: words in the byte order of the machine, in hexadecimal.
fn table_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok();
    let first = word(0)?.to_ne_bytes();
    if text.len() == 8 {
        return Some(Ipv4Addr::from(first).into());
    }
    let mut bytes = [0; 16];
    for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
        part.copy_from_slice(&word(index * 8)?.to_ne_bytes());
    }
    let address = Ipv6Addr::from(bytes);
    Some(
        address
            .to_ipv4_mapped()
            .map_or(address.into(), IpAddr::from),
    )
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
        let address = socket.local_addr().unwrap();
        let all = (Ipv4Addr::UNSPECIFIED, address.port()).into();
        for address in [address, all] {
            let holder = port_holder(address).expect("this process holds it");
            assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        }
        let elsewhere = (Ipv4Addr::new(127, 0, 0, 2), address.port()).into();
        assert_eq!(port_holder(elsewhere), None);
    }

    #[test]
    fn addresses_are_read_from_the_kernels_words() {
        if cfg!(target_endian = "little") {
            let loopback = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
            assert_eq!(table_address("0100007F"), loopback);
            assert_eq!(table_address("0000000000000000FFFF00000100007F"), loopback);
            let six = table_address("00000000000000000000000001000000");
            assert_eq!(six, Some(Ipv6Addr::LOCALHOST.into()));
        }
        assert_eq!(table_address("01"), None);
    }
}
