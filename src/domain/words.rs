//! The words of enums: what the API, the database, forms and addresses call each variant, as `strum` derives them.

/// `words! { pub enum Policy { … } }` gives an enum `as_str`, its reverse `parse`, and `Display`.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        $(#[$meta])*
        #[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
        #[strum(serialize_all = "snake_case")]
        pub enum $name { $($variants)* }

        impl $name {
            /// Its word.
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The one with this word.
            pub fn parse(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    };
}
pub(super) use words;
