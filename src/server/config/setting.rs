//! What a setting is: a key, a kind of value, a default and one sentence of help, declared once.
//! The typed field, the check, the sample file and `--print-config` all come from that declaration.

use std::fmt::Write as _;

/// A value as somebody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// From the environment, a flag or a default: no type was written.
    Word(String),
    /// A string in a file.
    Text(String),
    /// A number in a file, as it is spelled there.
    Number(String),
    /// `true` or `false` in a file.
    Bool(bool),
    /// An array of strings in a file.
    List(Vec<String>),
    /// Something that no setting takes, by the name that TOML has for it.
    Other(&'static str),
}

impl Raw {
    /// The value in one line, as an error quotes it.
    pub(super) fn found(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) => format!("\"{text}\""),
            Self::Number(text) => format!("the number {text}"),
            Self::Bool(value) => format!("{value}"),
            Self::List(items) => format!("{items:?}"),
            Self::Other(kind) => format!("{} {kind}", article(kind)),
        }
    }

    /// The value without its type.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) | Self::Number(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::List(items) => items.join(","),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

/// How values of one kind are described and written.
pub(super) trait Spelling: Sync {
    /// What may be written: the kind, an example, the bounds.
    fn expects(&self) -> String;

    /// A value in TOML, from its bare word.
    fn toml(&self, word: &str) -> String {
        quoted(word)
    }
}

/// Text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

/// A kind of value: from what was written to what the program uses.
pub(super) trait Kind: Spelling {
    /// The type that the program uses.
    type Value;

    /// The value, or `None` if it is of another kind or out of bounds.
    fn read(&self, raw: &Raw) -> Option<Self::Value>;
}

/// One setting.
pub(super) struct Setting {
    /// Its full key; `*` stands for the name of a listener.
    pub(super) key: &'static str,
    /// What may be written.
    pub(super) kind: &'static dyn Spelling,
    /// The value when nobody wrote one; empty if one has to be written.
    pub(super) default: &'static str,
    /// What it does, a line each.
    pub(super) help: &'static [&'static str],
}

/// A table of settings.
pub(super) struct Section {
    /// The table's key.
    pub(super) path: &'static str,
    /// What it is about, a line each.
    pub(super) about: &'static [&'static str],
    /// Its settings, in the order of the sample file.
    pub(super) settings: &'static [Setting],
}

/// Declares a table: a struct with one plain field for each setting.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident at $path:literal changed by $change:ident {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $value:ty = $kind:expr, $default:expr;
            )+
        }
    ) => {
        section! {
            $(#[doc = $about])+
            $name at $path {
                $( $(#[doc = $help])+ $field: $value = $kind, $default; )+
            }
        }

        change! {
            $change of $name at $path { $( $field: $value = $kind; )+ }
        }
    };
    (
        $(#[doc = $about:literal])+
        $name:ident at $path:literal {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $value:ty = $kind:expr, $default:expr;
            )+
            $( with $(#[doc = $inner_help:literal])+ $inner:ident: $table:ident; )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $help])+ pub $field: $value, )+
            $( $(#[doc = $inner_help])+ pub $inner: $table, )*
        }

        impl $name {
            pub(in crate::server::config) const SECTION: Section = Section {
                path: $path,
                about: &[$($about),+],
                settings: &[$(
                    Setting {
                        key: concat!($path, ".", stringify!($field)),
                        kind: &$kind,
                        default: $default,
                        help: &[$($help),+],
                    },
                )+],
            };

            /// All its settings; `None` if one of them is wrong, after all were looked at.
            pub(in crate::server::config) fn read(reader: &mut Reader<'_>, name: &str) -> Option<Self> {
                $( let $field = reader.read(
                    concat!($path, ".", stringify!($field)), name, &$kind, $default,
                ); )+
                $( let $inner = $table::read(reader, name); )*
                Some(Self { $( $field: $field?, )+ $( $inner: $inner?, )* })
            }
        }
    };
}

/// Declares what a policy may change of a table: a struct with one optional field for each setting.
macro_rules! change {
    (
        $change:ident of $name:ident at $path:literal {
            $( $field:ident: $value:ty = $kind:expr; )+
        }
    ) => {
        /// What a policy changes of the settings of this table.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $change {
            $( #[doc = concat!("`", $path, ".", stringify!($field), "`, if it is changed.")]
            pub $field: Option<$value>, )+
        }

        impl $change {
            /// What is changed; `None` if one value is wrong, after all were looked at.
            pub(in crate::server::config) fn read(reader: &mut Reader<'_>) -> Option<Self> {
                $( let $field = reader.read_change(concat!($path, ".", stringify!($field)), &$kind); )+
                Some(Self { $( $field: $field?, )+ })
            }
        }

        impl From<&$name> for $change {
            /// Everything, changed to what the table says.
            fn from(whole: &$name) -> Self {
                Self { $( $field: Some(whole.$field.clone()), )+ }
            }
        }
    };
}

/// Declares a choice between words.
macro_rules! words {
    (
        $(#[doc = $about:literal])+
        $name:ident { $( $(#[doc = $help:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $help])+ $variant, )+ }

        impl Words for $name {
            const ALL: &'static [(&'static str, Self)] = &[$( ($word, Self::$variant) ),+];
        }
    };
}

pub(super) use {change, section, words};
