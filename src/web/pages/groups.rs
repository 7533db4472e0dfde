//! The pages of groups: a list and a page of one for all users, forms for admins.

use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use strum::VariantArray as _;

use super::actions::Question;
use super::choices::{Difference, Group as Options};
use super::gone;
use super::runs::BatchText;
use super::schedules::ScheduleLine;
use crate::app::groups::{self, Figures, GroupDraft, GroupView, MemberDraft, MemberView};
use crate::app::history::{self, RunFilter, RunLine};
use crate::app::rulebook::RuleBook;
use crate::app::schedules::{self, ScheduleFilter};
use crate::app::{Error, FieldError, Result, paging};
use crate::domain::group::{Colour, Group, GroupSource, InGroup, MAX_ID, MAX_NAME, MAX_NOTE};
use crate::domain::host::id_from;
use crate::domain::ids::GroupId;
use crate::domain::target::{Subject, Target, TargetType};
use crate::domain::text::capital;
use crate::web::auth::{Admin, Needs, Viewer};
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::session::RestoredForm;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Choice, Link};

/// The maximum number of schedules on the page of a group.
const SCHEDULES: u32 = 50;
/// The maximum number of runs on the page of a group; those of a batch count as one.
const RUNS: u32 = 10;
/// The maximum length of a value in the comparison of two versions, in characters.
const MAX_SHOWN: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/groups", Access::VIEWER, index)
        .post("/groups", Access::ADMIN, create)
        .get("/groups/new", Access::ADMIN, new)
        .get("/groups/{id}", Access::VIEWER, show)
        .post("/groups/{id}", Access::ADMIN, update)
        .get("/groups/{id}/edit", Access::ADMIN, edit)
        .post("/groups/{id}/members", Access::ADMIN, add_member)
        .post("/groups/{id}/members/remove", Access::ADMIN, remove_member)
        .get("/groups/{id}/delete", Access::ADMIN, ask_delete)
        .post("/groups/{id}/delete", Access::ADMIN, delete)
}

/// The members in words, a line for each host: `2 stacks, 1 container`. The host is named where there are several.
fn members_in_words(view: &GroupView, shell: &Shell) -> Vec<String> {
    let line = |members: &[MemberView]| {
        let count = |kind: TargetType, noun: &str| {
            let number = members.iter().filter(|one| one.target.target_type() == kind).count();
            (number > 0).then(|| view::count(number, noun))
        };
        let whole = members.iter().any(|one| matches!(one.target.subject, Subject::Host));
        let parts = [
            whole.then(|| "the whole host".to_owned()),
            count(TargetType::Stack, "stack"),
            count(TargetType::Container, "container"),
        ];
        let parts = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        match members.first().filter(|_| shell.hosts.len() > 1) {
            Some(member) => format!("{}: {parts}", view::shown_name(&member.host_name)),
            None => capital(&parts),
        }
    };
    view.by_host().map(line).collect()
}

/// `12 containers, 8 running, 2 napping`.
fn figures_in_words(figures: &Figures) -> String {
    let mut words = vec![view::count(figures.containers, "container")];
    for (number, word) in [(figures.running, "running"), (figures.napping, "napping")] {
        if number > 0 {
            words.push(format!("{number} {word}"));
        }
    }
    words.join(", ")
}

/// What a member is, and what of it is there now.
fn member_in_words(member: &MemberView) -> String {
    let kind = match member.target.subject {
        Subject::Host => "Whole host",
        Subject::Stack(_) | Subject::Services { .. } => "Stack",
        Subject::Container(_) | Subject::Group(_) => "Container",
    };
    let state = match (member.exists, &member.target.subject) {
        (Some(false), _) => "not there now".to_owned(),
        (None, _) => "its host has not been reached yet".to_owned(),
        (Some(true), Subject::Container(_)) => match member.containers {
            Figures { napping: 1.., .. } => "napping".to_owned(),
            Figures { running: 1.., .. } => "running".to_owned(),
            Figures { .. } => "not running".to_owned(),
        },
        (Some(true), _) => figures_in_words(&member.containers),
    };
    format!("{kind}, {state}")
}

/// The icon of a member.
fn member_icon(member: &MemberView) -> &'static str {
    match member.target.subject {
        Subject::Host => "server",
        Subject::Stack(_) | Subject::Services { .. } => "layers",
        Subject::Container(_) | Subject::Group(_) => "container",
    }
}

/// The value of a member in the form that removes it.
fn member_id(member: &MemberView) -> String {
    match member.target.subject {
        Subject::Host => member.target.host.to_string(),
        _ => member.target.key(),
    }
}

/// The list of all groups.
#[derive(Template)]
#[template(path = "groups/index.html", blocks = ["live"])]
struct GroupsPage<'a> {
    shell: &'a Shell,
    groups: Vec<GroupView>,
}

async fn index(page: Page<Viewer>) -> Result<Response> {
    let groups = groups::list(&page.app, &page.actor).await?;
    let shown = GroupsPage { shell: &page.shell, groups };
    page.render_live(&shown, &shown.as_live())
}

/// The page of one group.
#[derive(Template)]
#[template(path = "groups/show.html", blocks = ["live"])]
struct GroupPage<'a> {
    shell: &'a Shell,
    view: GroupView,
    schedules: Vec<ScheduleLine>,
    /// The latest runs in the group.
    runs: Vec<RunLine>,
    /// The form that adds a member.
    form: Refill,
    /// What can be added.
    options: Vec<Options>,
}

impl<'a> GroupPage<'a> {
    async fn read<R: Needs>(page: &'a Page<R>, id: &GroupId, form: Refill) -> Result<Self> {
        let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
        let view = groups::get(app, actor, id).await?;
        let filter = ScheduleFilter { target: Some(Target::group(id.clone())), ..ScheduleFilter::default() };
        let newest = paging::Page { limit: SCHEDULES, cursor: None };
        let schedules = schedules::list(app, actor, &filter, &newest).await?.items;
        let schedules = schedules.iter().map(|view| ScheduleLine::new(view, &shell.now)).collect();
        let within = InGroup::new(id.clone(), Arc::clone(RuleBook::load(app).await?.rules.groups()));
        let filter = RunFilter { group: Some(within), ..RunFilter::default() };
        let latest = paging::Page { limit: RUNS, cursor: None };
        let runs = history::lines(app, actor, &filter, &latest).await?.items;
        let options =
            if shell.can_administer() { options(page, &view, form.value("target")) } else { Vec::new() };
        Ok(Self { shell, view, schedules, runs, form, options })
    }

    fn id(&self) -> &str {
        self.view.group.id.as_str()
    }
}

/// The hosts, stacks and containers that can be added, as options; `chosen` is the value of the one that is selected.
fn options<R: Needs>(page: &Page<R>, view: &GroupView, chosen: &str) -> Vec<Options> {
    let all = groups::candidates(&page.app, view);
    let of_kind = |kind: TargetType, label: &str| {
        let found = all.iter().filter(|one| one.target.target_type() == kind);
        let choices = found.map(|one| {
            let value = view::target_value(&one.target);
            let name = if kind == TargetType::Host {
                one.name.clone()
            } else {
                page.shell.placed(&one.name, &one.target.host)
            };
            Choice { chosen: value == chosen, label: view::shown_name(&name), value }
        });
        Options { label: label.to_owned(), options: choices.collect() }
    };
    let mut options = vec![
        of_kind(TargetType::Host, "Whole hosts"),
        of_kind(TargetType::Stack, "Stacks"),
        of_kind(TargetType::Container, "Containers without a stack"),
    ];
    options.retain(|group| !group.options.is_empty());
    options
}

async fn show(page: Page<Viewer>, Path(id): Path<GroupId>) -> Result<Response> {
    let shown = match GroupPage::read(&page, &id, Refill::default()).await {
        Ok(shown) => shown,
        Err(error) if page.htmx.partial => return gone(error),
        Err(error) => return Err(error),
    };
    page.render_live(&shown, &shown.as_live())
}

async fn add_member(page: Page<Admin>, Path(id): Path<GroupId>, typed: Typed) -> Result<Response> {
    let (target_type, target_id) = typed.get("target").split_once('/').unwrap_or_default();
    let draft = MemberDraft {
        host: None,
        target_type: Some(target_type.to_owned()),
        target_id: Some(target_id.to_owned()),
    };
    let message = match groups::add_member(&page.app, &page.actor, &id, &draft, GroupSource::Ui).await {
        Ok(member) => {
            let name = placed(&page.shell, &member.target, &member.target_name);
            let message = Flash::new("good", format!("“{name}” is in the group now."));
            return Ok(page.redirect_with(&format!("/groups/{id}"), message).await);
        }
        Err(Error::Invalid(_)) if typed.filled("target").is_none() => "choose what to add".to_owned(),
        Err(Error::Invalid(errors)) => {
            errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; ")
        }
        Err(other) => return Err(other),
    };
    // The form has one field where the API has three.
    let errors = vec![FieldError::new("target", message)];
    page.refuse(&GroupPage::read(&page, &id, Refill::wrong(typed, errors)).await?)
}

async fn remove_member(page: Page<Admin>, Path(id): Path<GroupId>, typed: Typed) -> Result<Response> {
    let text = |name: &str| Some(typed.get(name).to_owned());
    let draft =
        MemberDraft { host: text("host"), target_type: text("target_type"), target_id: text("target_id") };
    let member = groups::remove_member(&page.app, &page.actor, &id, &draft).await?;
    let name = placed(&page.shell, &member.target, &member.name);
    let message = match member.fixed_by() {
        None => Flash::new("good", format!("“{name}” is out of the group.")),
        Some(by) => Flash::new("warn", format!("“{name}” stays in the group by `{by}`.")),
    };
    Ok(page.redirect_with(&format!("/groups/{id}"), message).await)
}

/// The name of a member, with its host where there are several.
fn placed(shell: &Shell, target: &Target, name: &str) -> String {
    match target.subject {
        Subject::Host => view::shown_name(name),
        _ => view::shown_name(&shell.placed(name, &target.host)),
    }
}

/// The stored group as fields of the form.
fn fields(group: &Group) -> Typed {
    Typed::of([
        ("name", group.spec.name.clone()),
        ("colour", group.spec.colour.to_string()),
        ("note", group.spec.note.clone()),
        ("rev", group.rev.to_string()),
    ])
}

fn draft(typed: &Typed) -> GroupDraft {
    // Browsers send other line endings.
    let text = |name: &str| Some(typed.get(name).replace("\r\n", "\n"));
    GroupDraft { id: text("id"), name: text("name"), colour: text("colour"), note: text("note") }
}

#[derive(Template)]
#[template(path = "groups/form.html")]
struct GroupForm<'a> {
    shell: &'a Shell,
    stored: Option<&'a Group>,
    form: Refill,
    /// The fields in which the form and the stored group differ, if both were changed.
    differences: Vec<Difference>,
}

impl<'a> GroupForm<'a> {
    fn new(shell: &'a Shell, stored: Option<&'a Group>, form: Refill) -> Self {
        Self { shell, stored, form, differences: Vec::new() }
    }

    /// The id that is made from the name if none is typed.
    fn made_id(&self) -> String {
        match id_from(self.form.value("name")) {
            id if id.is_empty() => "evening".to_owned(),
            id => id,
        }
    }

    fn colours(&self) -> Vec<Choice> {
        let chosen = Colour::parse(self.form.value("colour")).unwrap_or_default();
        let choice = |colour: &Colour| Choice {
            value: colour.to_string(),
            label: capital(colour.as_str()),
            chosen: *colour == chosen,
        };
        Colour::VARIANTS.iter().map(choice).collect()
    }

    /// The form after another user has saved the group: the typed values stay, with the differences to the stored ones.
    fn stale(mut self, stored: &Typed) -> Self {
        let shown = |text: &str| {
            let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            let begin: String = line.chars().take(MAX_SHOWN).collect();
            if begin.trim().is_empty() { "nothing".to_owned() } else { begin }
        };
        for (field, name) in [("Name", "name"), ("Colour", "colour"), ("Note", "note")] {
            let (yours, theirs) = (self.form.value(name), stored.get(name));
            if !yours.trim().lines().eq(theirs.trim().lines()) {
                let (yours, theirs) = (shown(yours), shown(theirs));
                self.differences.push(Difference { field, yours, theirs });
            }
        }
        self.form.typed.set("rev", stored.get("rev"));
        self
    }
}

async fn new(page: Page<Admin>, RestoredForm(restored): RestoredForm) -> Result<Response> {
    page.render(&GroupForm::new(&page.shell, None, Refill::fresh(restored.unwrap_or_default())))
}

async fn edit(
    page: Page<Admin>,
    Path(id): Path<GroupId>,
    RestoredForm(restored): RestoredForm,
) -> Result<Response> {
    let group = groups::get(&page.app, &page.actor, &id).await?.group;
    let form = Refill::fresh(restored.unwrap_or_else(|| fields(&group)));
    page.render(&GroupForm::new(&page.shell, Some(&group), form))
}

async fn create(page: Page<Admin>, typed: Typed) -> Result<Response> {
    match groups::create(&page.app, &page.actor, &draft(&typed), GroupSource::Ui).await {
        Ok(group) => saved(&page, &group).await,
        Err(Error::Invalid(errors)) => {
            page.refuse(&GroupForm::new(&page.shell, None, Refill::wrong(typed, errors)))
        }
        Err(other) => Err(other),
    }
}

async fn update(page: Page<Admin>, Path(id): Path<GroupId>, typed: Typed) -> Result<Response> {
    let rev = typed.get("rev").parse().ok();
    let errors = match groups::update(&page.app, &page.actor, &id, &draft(&typed), rev).await {
        Ok(group) => return saved(&page, &group).await,
        Err(Error::Invalid(errors)) => errors,
        Err(Error::Stale { .. }) => Vec::new(),
        Err(other) => return Err(other),
    };
    let is_stale = errors.is_empty();
    let group = groups::get(&page.app, &page.actor, &id).await?.group;
    let form = GroupForm::new(&page.shell, Some(&group), Refill::wrong(typed, errors));
    if is_stale {
        return page.answer(StatusCode::CONFLICT, &form.stale(&fields(&group)));
    }
    page.refuse(&form)
}

async fn saved(page: &Page<Admin>, group: &Group) -> Result<Response> {
    let message = format!("“{}” is stored.", view::shown_name(&group.spec.name));
    Ok(page.redirect_with(&format!("/groups/{}", group.id), Flash::new("good", message)).await)
}

async fn ask_delete(page: Page<Admin>, Path(id): Path<GroupId>) -> Result<Response> {
    let view = groups::deletable(&page.app, &page.actor, &id).await?;
    let name = view::shown_name(&view.group.spec.name);
    let leave = match view.members.iter().filter(|member| member.is_removable()).count() {
        0 => "Nothing changes for containers.".to_owned(),
        1 => "Its member leaves it; nothing changes for containers.".to_owned(),
        more => format!("Its {more} members leave it; nothing changes for containers."),
    };
    let stays = if view.is_named_elsewhere() {
        format!(" Labels or docknap.toml name {id}: until they change, a group with this id stays.")
    } else {
        String::new()
    };
    let question = Question {
        title: format!("Delete the group “{name}”?"),
        label: "Delete".to_owned(),
        icon: "trash-2",
        harsh: true,
        action: format!("/groups/{id}/delete"),
        back: Link::new(format!("/groups/{id}"), name),
        text: format!("{leave}{stays} The audit log keeps its name."),
        rev: Some(view.group.rev),
        ..Question::default()
    };
    question.ask(&page)
}

async fn delete(page: Page<Admin>, Path(id): Path<GroupId>, typed: Typed) -> Result<Response> {
    let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
    groups::delete(&page.app, &page.actor, &id, rev).await?;
    Ok(page.redirect_with("/groups", Flash::new("good", "The group is deleted.")).await)
}
