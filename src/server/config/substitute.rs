//! `${env:NAME}` and `${file:PATH}` inside strings. `$${` stands for a plain `${`.

use super::setting::Raw;

/// Why a reference could not be replaced.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum SubstituteError {
    #[error("the environment has no variable {0}")]
    NoVariable(String),
    #[error("cannot read {path}: {cause}")]
    NoFile { path: String, cause: String },
    #[error("`${{` without a closing `}}`")]
    Open,
    #[error("unknown reference `${{{0}}}`: expected ${{env:NAME}} or ${{file:PATH}}")]
    Unknown(String),
}

/// Replaces the references in all strings of a value.
pub(super) fn apply(raw: Raw) -> Result<Raw, SubstituteError> {
    Ok(match raw {
        Raw::Word(word) => Raw::Word(text(&word)?),
        Raw::Text(string) => Raw::Text(text(&string)?),
        Raw::List(items) => Raw::List(
            items
                .iter()
                .map(|item| text(item))
                .collect::<Result<_, _>>()?,
        ),
        Raw::Number(_) | Raw::Bool(_) | Raw::Other(_) => raw,
    })
}

/// A file's text without the line end that editors add.
pub(super) fn file(path: &str) -> Result<String, SubstituteError> {
    let mut text = std::fs::read_to_string(path).map_err(|error| SubstituteError::NoFile {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

fn text(input: &str) -> Result<String, SubstituteError> {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (reference, tail) = after.split_once('}').ok_or(SubstituteError::Open)?;
        out.push_str(before);
        out.push_str(&resolve(reference)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve(reference: &str) -> Result<String, SubstituteError> {
    match reference.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).map_err(|_| SubstituteError::NoVariable(name.to_owned()))
        }
        Some(("file", path)) => file(path),
        _ => Err(SubstituteError::Unknown(reference.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_inside_text() {
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "hush\n").unwrap();
        let path = secret.display();
        assert_eq!(text(&format!("a-${{file:{path}}}-z")).unwrap(), "a-hush-z");
        assert_eq!(text("${env:CARGO_PKG_NAME}!").unwrap(), "tidegate!");
        assert_eq!(
            text("$${env:HOME} costs $5").unwrap(),
            "${env:HOME} costs $5"
        );
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_an_error() {
        let missing = "TIDEGATE_TEST_SURELY_NOT_SET";
        let error = text(&format!("${{env:{missing}}}")).unwrap_err();
        assert_eq!(error, SubstituteError::NoVariable(missing.to_owned()));
        assert_eq!(text("${env:HOME"), Err(SubstituteError::Open));
        assert_eq!(
            text("${vault:x}"),
            Err(SubstituteError::Unknown("vault:x".to_owned()))
        );
        assert!(matches!(
            text("${file:/no/such/file}"),
            Err(SubstituteError::NoFile { .. })
        ));
    }
}
