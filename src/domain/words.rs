//! Macro for enums whose variants have a word in the API, the database, forms and URLs, as `strum` derives it.

/// `words! { pub enum Policy { … } }` defines the enum with `as_str`, its reverse `parse`, and `Display`.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        $(#[$meta])*
        #[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
        #[strum(serialize_all = "snake_case")]
        pub enum $name { $($variants)* }

        impl $name {
            /// Word of the variant.
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// Variant with this word; `None` if there is none.
            pub fn parse(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    };
}
pub(super) use words;
