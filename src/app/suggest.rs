//! Suggestions of similar names for a name that does not exist.

use strsim::generic_levenshtein;

/// Up to three names that are similar to `wanted`, most similar first. Upper and lower case are equal.
pub fn suggest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    /// Maximum number of characters compared, because the cost grows with the square of the length.
    const COMPARED: usize = 64;
    let fold = |name: &str| name.chars().take(COMPARED).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let wanted = fold(wanted);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let folded = fold(name);
            let limit = 1 + wanted.len().min(folded.len()) / 3;
            let contained = wanted.len() >= 3
                && (starts_or_ends(&folded, &wanted)
                    || (folded.len() >= 3 && starts_or_ends(&wanted, &folded)));
            let distance =
                if contained { usize::from(wanted != folded) } else { generic_levenshtein(&wanted, &folded) };
            (distance <= limit).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

fn starts_or_ends(long: &[char], short: &[char]) -> bool {
    long.starts_with(short) || long.ends_with(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_few_and_the_likest_first() {
        let names = ["billing-stack", "billing", "media", "Media2", "x"];
        let suggest = |wanted: &str| suggest(wanted, names.into_iter());
        assert_eq!(suggest("biling-stack"), ["billing-stack"]);
        assert_eq!(suggest("MEDIA"), ["media", "Media2"]);
        assert_eq!(suggest("bill"), ["billing", "billing-stack"]);
        assert!(suggest("").len() <= 1 && suggest("zzzzzzzz").is_empty());
        assert!(suggest(&"m".repeat(100_000)).is_empty(), "a long name costs little");
    }
}
