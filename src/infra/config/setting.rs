//! The declaration of a setting, and the macro that declares all of them.

/// The declaration of a setting.
#[derive(Debug)]
pub struct Setting {
    /// The key in the configuration file.
    pub name: &'static str,
    /// The section of the documentation.
    pub section: &'static str,
    /// Markdown. The first paragraph is the help of the flag; see [`Setting::paragraphs`].
    pub help: &'static str,
    pub default: DefaultValue,
    /// What the example file shows instead of a default.
    pub example: Option<&'static str>,
    pub is_secret: bool,
    pub flag: Option<Flag>,
    /// The environment variable, unless it is `SHOP_` and the name in upper case.
    pub other_variable: Option<&'static str>,
}

/// The default of a setting.
#[derive(Debug)]
pub enum DefaultValue {
    /// A value like any other.
    Value(&'static str),
    /// No value. The text says what happens then.
    Unset(&'static str),
}

/// A flag of the command line.
#[derive(Debug)]
pub struct Flag {
    /// Without the two hyphens.
    pub name: &'static str,
    /// The placeholder of the value.
    pub value_name: &'static str,
    /// The command that has the flag. `None` means all commands.
    pub command: Option<&'static str>,
}

impl Setting {
    /// The values of the fields that a declaration omits.
    pub(super) const BLANK: Setting = Setting {
        name: "",
        section: "",
        help: "",
        default: DefaultValue::Unset("none"),
        example: None,
        is_secret: false,
        flag: None,
        other_variable: None,
    };

    /// Returns the environment variable.
    pub fn variable(&self) -> String {
        match self.other_variable {
            Some(name) => name.to_owned(),
            None => format!("SHOP_{}", self.name.to_uppercase()),
        }
    }

    /// Returns the environment variable that names a file with the value. Only secrets have one.
    pub fn file_variable(&self) -> Option<String> {
        self.is_secret.then(|| format!("{}_FILE", self.variable()))
    }

    /// Returns the default, if it is a value.
    pub fn default_value(&self) -> Option<&'static str> {
        match self.default {
            DefaultValue::Value(text) => Some(text),
            DefaultValue::Unset(_) => None,
        }
    }

    /// Returns the help, a line for each paragraph.
    pub fn paragraphs(&self) -> Vec<String> {
        let paragraphs = self.help.split("\n\n");
        let joined = paragraphs.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        joined.collect()
    }
}

/// Declares the settings, by section. The comment of a setting is its help everywhere. After its type follow the
/// parser and the fields in which the [`Setting`] differs from [`Setting::BLANK`].
///
/// The macro generates the list `SETTINGS`, and `Config` with a field for each setting.
macro_rules! settings {
    ($($section:literal {$(
        $(#[doc = $help:literal])+
        $name:ident: $type:ty = $parse:expr, { $($field:ident: $value:expr),* $(,)? };
    )+})+) => {
        /// All settings, in the order of the documentation.
        pub static SETTINGS: &[Setting] = &[$($(Setting {
            name: stringify!($name),
            section: $section,
            help: concat!($($help, "\n"),+),
            $($field: $value,)*
            ..Setting::BLANK
        }),+),+];

        /// The effective configuration.
        #[derive(Debug, Clone)]
        pub struct Config {$($(
            $(#[doc = $help])+
            pub $name: $type,
        )+)+}

        impl Config {
            /// Returns the configuration, or `None` if a value is wrong. The reader has the errors.
            pub(super) fn read(reader: &mut Reader<'_>) -> Option<Config> {
                // Parses all settings first, so that every error is reported.
                $($(let $name = reader.read(stringify!($name), $parse);)+)+
                Some(Config { $($($name: $name?,)+)+ })
            }
        }
    };
}

pub(super) use settings;
