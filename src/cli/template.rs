//! Bodies that differ from message to message: `order {{n}} of {{time}}`.

use super::error::CliError;

/// A body with places that each message fills in its own way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Number,
    Time,
    Uuid,
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| {
                CliError::Usage(format!("the template has a '{{{{' without '}}}}': {text}"))
            })?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match name.trim() {
                "n" => Piece::Number,
                "time" => Piece::Time,
                "uuid" => Piece::Uuid,
                other => {
                    return Err(CliError::Usage(format!(
                        "the template has the unknown place '{{{{{other}}}}}'; \
                         there are {{{{n}}}}, {{{{time}}}} and {{{{uuid}}}}"
                    )));
                }
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The body of the message with this number, made at this time in milliseconds since 1970.
    pub(super) fn fill(&self, number: u64, time: u64) -> String {
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Number => number.to_string(),
            Piece::Time => time.to_string(),
            Piece::Uuid => uuid::Uuid::new_v4().to_string(),
        });
        filled.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let template = Template::parse("a {{n}} b {{ time }}{{n}}}} c").unwrap();
        assert_eq!(template.fill(7, 99), "a 7 b 997}} c");
        assert_eq!(Template::parse("plain").unwrap().fill(1, 1), "plain");
        let uuids = Template::parse("{{uuid}}").unwrap();
        assert_eq!(uuids.fill(1, 1).len(), 36);
        assert_ne!(uuids.fill(1, 1), uuids.fill(1, 1));
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_reason() {
        for (text, reason) in [("{{m}}", "'{{m}}'"), ("x {{n", "without '}}'")] {
            let error = Template::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
