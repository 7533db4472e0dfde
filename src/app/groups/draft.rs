//! A group and a member as submitted by a form or as JSON, and their validation.

use serde::Deserialize;
use strum::VariantArray as _;
use utoipa::ToSchema;

use crate::app::draft::{Faults, Field};
use crate::app::{App, Error, Result, targets};
use crate::domain::group::{self, Colour, Group, GroupSpec, MAX_ID, MAX_NAME, MAX_NOTE};
use crate::domain::host::id_from;
use crate::domain::ids::{GroupId, HostId};
use crate::domain::target::{Target, TargetType};
use crate::domain::text::shorten;

/// A group as submitted by a form or as JSON, not validated. `None` and an empty text are equivalent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = GroupBody, description = "A group, as sent.")]
pub struct GroupDraft {
    /// Lower-case letters, digits and hyphens; labels and schedules name it, and it never changes. Default: made from
    /// the name.
    #[schema(max_length = 32, example = "evening")]
    pub id: Option<String>,
    #[schema(value_type = String, required = true, max_length = 60, example = "Evening")]
    pub name: Option<String>,
    /// The colour of its tag. Default: grey.
    #[schema(value_type = Option<Colour>)]
    pub colour: Option<String>,
    #[schema(max_length = 2000)]
    pub note: Option<String>,
}

/// A member as submitted by a form or as JSON, not validated.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = MemberBody, description = "A host, a stack or a container, as sent.")]
pub struct MemberDraft {
    /// The id of the host. Default: the host that has such a stack or container.
    pub host: Option<String>,
    /// `host`, `stack` or `container`.
    #[schema(value_type = String, required = true, example = "stack")]
    pub target_type: Option<String>,
    /// Name or key of the stack or container; of a host its id, which may be in `host` instead.
    pub target_id: Option<String>,
}

/// Whether a text can be the id of a group. `new` is the address of the form.
pub(super) fn is_id(text: &str) -> bool {
    text != "new" && group::parse_id(text).is_some()
}

/// Validates a draft; `old` is the group that it replaces, `known` are all groups.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong.
pub(super) fn check(
    draft: &GroupDraft,
    old: Option<&Group>,
    known: &[Group],
) -> Result<(GroupId, GroupSpec)> {
    let mut faults = Faults::default();
    let name = faults.line("name", &draft.name, MAX_NAME);
    let id = match old {
        Some(old) => old.id.clone(),
        None => new_id(&mut faults, draft, &name, known),
    };
    let is_taken = |one: &Group| one.id != id && one.spec.name.to_lowercase() == name.to_lowercase();
    if name.is_empty() {
        faults.add("name", "give the group a name");
    } else if known.iter().any(is_taken) {
        faults.add("name", "another group has this name; choose another one");
    }
    let words: Vec<&str> = Colour::VARIANTS.iter().map(|colour| colour.as_str()).collect();
    let colour = faults.word("colour", &draft.colour, &format!("use one of {}", words.join(", ")));
    let note = draft.note.text().unwrap_or_default().to_owned();
    if note.chars().count() > MAX_NOTE {
        faults.add("note", format!("use {MAX_NOTE} characters at most"));
    }
    if faults.0.is_empty() {
        Ok((id, GroupSpec { name, colour, note }))
    } else {
        Err(Error::Invalid(faults.0))
    }
}

fn new_id(faults: &mut Faults, draft: &GroupDraft, name: &str, known: &[Group]) -> GroupId {
    let typed = draft.id.text();
    let id = typed.map_or_else(|| id_from(name), str::to_owned);
    if typed.is_some() && !is_id(&id) {
        faults.add(
            "id",
            format!("use 1 to {MAX_ID} lower-case letters, digits and hyphens, and not only `new`"),
        );
    } else if !name.is_empty() && !is_id(&id) {
        faults.add("id", "no id can be made from this name; enter an id such as evening");
    } else if known.iter().any(|one| one.id.as_str() == id && super::is_stored(one)) {
        faults.add("id", format!("another group has the id {id}; enter another one"));
    }
    GroupId(id)
}

/// The host, stack or container that a draft names, which must be there now, and its name.
///
/// # Errors
/// [`Error::Invalid`] for the field that is wrong.
pub(super) fn target(app: &App, draft: &MemberDraft) -> Result<(Target, String)> {
    let Some(target_type) = member_type(draft) else {
        return Err(Error::field("target_type", "use host, stack or container"));
    };
    if target_type == TargetType::Host {
        let host = host_named(app, draft)?;
        let name = app.hosts.get(&host).map_or_else(|| host.to_string(), |one| one.name().to_owned());
        return Ok((Target::host(host), name));
    }
    let Some(name) = draft.target_id.as_deref().filter(|name| !name.is_empty()) else {
        return Err(Error::field("target_id", "say which one"));
    };
    let host = targets::host_with(app, draft.host.as_deref(), target_type, name)?;
    let target = targets::named(app, host.id(), target_type, name)?;
    let name = targets::name(app, &target);
    Ok((target, name))
}

/// The kind of a member; `None` for another word, such as `group`: groups have no groups as members.
pub(super) fn member_type(draft: &MemberDraft) -> Option<TargetType> {
    draft.target_type.text().and_then(TargetType::parse).filter(|kind| *kind != TargetType::Group)
}

fn host_named(app: &App, draft: &MemberDraft) -> Result<HostId> {
    let Some(named) = draft.target_id.text().or(draft.host.text()) else {
        return Err(Error::field("target_id", "say which host"));
    };
    let all = app.hosts.all();
    let is_it = |id: &HostId| id.as_str() == named || Target::host(id.clone()).key() == named;
    let found = all.iter().map(|host| host.id()).find(|id| is_it(id)).cloned();
    found.ok_or_else(|| Error::field("target_id", format!("there is no host `{}`", shorten(named))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::group::GroupSource;
    use jiff::Timestamp;

    fn group(id: &str, name: &str, rev: i64) -> Group {
        Group {
            id: GroupId::from(id),
            spec: GroupSpec { name: name.to_owned(), colour: Colour::Grey, note: String::new() },
            source: if rev == 0 { GroupSource::Label } else { GroupSource::Ui },
            rev,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn draft(name: &str, id: &str) -> GroupDraft {
        let text = |text: &str| Some(text.to_owned());
        GroupDraft { name: text(name), id: text(id), ..GroupDraft::default() }
    }

    fn wrong(draft: &GroupDraft, old: Option<&Group>, known: &[Group]) -> Vec<String> {
        match check(draft, old, known) {
            Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
            other => panic!("it is refused: {other:?}"),
        }
    }

    #[test]
    fn an_id_is_made_from_the_name_and_never_changes() {
        let made = |draft: &GroupDraft, old| check(draft, old, &[]).expect("it is right").0.0;
        assert_eq!(made(&draft("Evening & Lab", ""), None), "evening-lab");
        assert_eq!(made(&draft("Evening", "lab"), None), "lab");
        assert_eq!(made(&draft("Other", "other"), Some(&group("evening", "Evening", 3))), "evening");
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let known = [group("evening", "Evening", 1)];
        let all = GroupDraft {
            colour: Some("mauve".to_owned()),
            note: Some("x".repeat(MAX_NOTE + 1)),
            ..draft("", "Big One")
        };
        let mut fields = wrong(&all, None, &known);
        fields.sort_unstable();
        assert_eq!(fields, ["colour", "id", "name", "note"]);
        assert_eq!(wrong(&draft("EVENING", "lab"), None, &known), ["name"]);
        assert_eq!(wrong(&draft("Late", "evening"), None, &known), ["id"]);
        assert_eq!(wrong(&draft("Late", "new"), None, &known), ["id"]);
        assert_eq!(wrong(&draft("***", ""), None, &known), ["id"]);
        assert_eq!(wrong(&draft(&"x".repeat(MAX_NAME + 1), "lab"), None, &known), ["name"]);
    }

    #[test]
    fn a_group_that_only_a_label_names_can_be_created() {
        let known = [group("evening", "evening", 0)];
        let (id, spec) = check(&draft("Evening", ""), None, &known).expect("it is right");
        assert_eq!((id.as_str(), spec.name.as_str()), ("evening", "Evening"));
    }
}
