//! What one frame may hold.

/// Bounds of one frame; each is checked while bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the command line.
    pub command: usize,
    /// Bytes of one header line.
    pub header_line: usize,
    /// Header lines.
    pub headers: usize,
    /// Bytes of the command and all header lines together.
    pub head: usize,
    /// The setting that raises `head`.
    pub head_key: &'static str,
    /// Bytes of the body.
    pub body: usize,
    /// The setting that raises `body`.
    pub body_key: &'static str,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command: 1024,
            header_line: 64 * 1024,
            headers: 1000,
            head: 1024 * 1024,
            head_key: "limits.max_header_line",
            body: 100 * 1024 * 1024,
            body_key: "limits.max_frame",
        }
    }
}

impl Limits {
    /// The same, so that places within the head can be kept in 32 bits.
    pub(super) fn addressable(self) -> Self {
        Self {
            head: self.head.min(u32::MAX as usize),
            ..self
        }
    }

    /// The bounds for a peer that has not logged in: head and body hold at most `bytes` each.
    #[must_use]
    pub fn before_login(self, bytes: usize) -> Self {
        let key = "limits.max_frame_before_login";
        Self {
            header_line: self.header_line.min(bytes),
            head: self.head.min(bytes),
            head_key: key,
            body: self.body.min(bytes),
            body_key: key,
            ..self
        }
    }
}
