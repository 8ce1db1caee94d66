//! CONNECT, STOMP and DISCONNECT.

use super::heart_beat::Beat;
use super::receipts::Purpose;
use super::refusal::{Refused, shown};
use super::session::{Peer, Stage};
use crate::codec::stomp::{Headers, Verb, Version, begin, end, header, number};
use crate::core::{Now, Request};
use crate::protocol::{Code, Departure};

impl Peer {
    /// Lets the peer in. No password is asked for; any `host` will do.
    pub(super) fn connect(
        &mut self,
        now: Now,
        headers: &Headers<'_>,
        requests: &mut Vec<Request>,
    ) -> Result<(), Refused> {
        let version = agreed_version(headers)?;
        let asked = headers.get(b"heart-beat");
        let beat = Beat::agree(asked.as_deref(), &self.config.heart_beat, now.tick)?;
        self.note_client(headers)?;
        self.write_connected(version, &beat, headers);
        self.beat = beat;
        self.version = version;
        self.stage = Stage::Open;
        let client = self.client.clone();
        requests.push(Request::Introduce { client });
        Ok(())
    }

    /// CONNECTED is written as 1.0 asks, which is without escapes, whatever version it announces.
    fn write_connected(&mut self, version: Version, beat: &Beat, headers: &Headers<'_>) {
        let out = self.transmit.buffer();
        let plain = Version::V1_0;
        begin(out, Verb::Connected);
        header(out, b"version", version.text().as_bytes(), plain);
        out.extend_from_slice(b"heart-beat:");
        number(out, beat.send);
        out.push(b',');
        number(out, beat.expect);
        out.push(b'\n');
        if let Some(id) = headers.get(b"client-id").filter(|id| !id.is_empty()) {
            header(out, b"session", &id, plain);
        } else {
            out.extend_from_slice(b"session:ID-");
            number(out, self.id.0);
            out.push(b'\n');
        }
        if let Some(server) = &self.config.server {
            header(out, b"server", server.as_bytes(), plain);
        }
        let request = headers
            .get(b"request-id")
            .or_else(|| headers.get(b"receipt"));
        if let Some(request) = request {
            header(out, b"response-id", &request, plain);
            header(out, b"receipt-id", &request, plain);
        }
        end(out, b"");
    }

    /// The peer says goodbye. With a receipt it first hears that all it asked before is durable.
    pub(super) fn disconnect(&mut self, headers: &Headers<'_>, requests: &mut Vec<Request>) {
        match self.receipt(headers) {
            Some(receipt) => {
                self.stage = Stage::Leaving;
                let token = self.receipts.add(Some(receipt), Purpose::Disconnect);
                requests.push(Request::Sync { token });
            }
            None => self.stage = Stage::Closed(Departure::Clean),
        }
    }
}

/// The highest version in common; without the header it is 1.0.
fn agreed_version(headers: &Headers<'_>) -> Result<Version, Refused> {
    let Some(offered) = headers.get(b"accept-version") else {
        return Ok(Version::V1_0);
    };
    let best = offered
        .split(|byte| *byte == b',')
        .filter_map(|version| match version.trim_ascii() {
            b"1.0" => Some(Version::V1_0),
            b"1.1" => Some(Version::V1_1),
            b"1.2" => Some(Version::V1_2),
            _ => None,
        })
        .max();
    best.ok_or_else(|| {
        let shown = shown(&offered);
        Refused::fatal(
            Code::VersionMismatch,
            format!("Invalid Protocol version[{shown}], supported versions are: [1.2, 1.1, 1.0]"),
        )
    })
}
