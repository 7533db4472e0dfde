//! The backup page: the copies of the database, their download, and the hour of the daily copy.

use askama::Template;
use axum::extract::Path;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::response::Response;
use secrecy::SecretString;

use crate::app::backup::copies::{self, BackupFile, State};
use crate::app::backup::upload::{self, Difference, Kind, LARGEST, Upload, Waiting};
use crate::app::{Error, FieldError, Result};
use crate::web::auth::Admin;
use crate::web::download;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::limits::UPLOAD;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Choice};

/// The path of the page.
const HERE: &str = "/settings/backup";
/// The maximum length of a password in the form of an upload, in bytes.
const MAX_PASSWORD: usize = 4096;
/// The number of names that are shown of each kind.
const SHOWN: usize = 20;
/// The value that stands for a copy made for the download.
const NOW: &str = "now";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(HERE, Access::ADMIN, show)
        .post("/settings/backup/create", Access::ADMIN, create)
        .post("/settings/backup/hour", Access::ADMIN, hour)
        .post("/settings/backup/download", Access::ADMIN, download)
        .post(UPLOAD, Access::ADMIN, receive)
        .post("/settings/backup/accept", Access::ADMIN, accept)
        .post("/settings/backup/discard", Access::ADMIN, discard)
        .get("/settings/backup/copies/{name}/delete", Access::ADMIN, ask_delete)
        .post("/settings/backup/copies/{name}/delete", Access::ADMIN, delete)
}

/// The page.
#[derive(Template)]
#[template(path = "settings/backup.html")]
struct BackupPage<'a> {
    shell: &'a Shell,
    state: State,
    form: Refill,
    /// Whether the database is an SQLite file.
    is_file: bool,
    /// The state of a restore from the page.
    waiting: Waiting,
}

impl<'a> BackupPage<'a> {
    async fn read(page: &'a Page<Admin>, form: Refill) -> Result<Self> {
        let state = copies::state(&page.app, &page.actor).await?;
        let is_file = page.app.config.database_file().is_some();
        let waiting = upload::waiting(&page.app, &page.actor)?;
        Ok(Self { shell: &page.shell, state, form, is_file, waiting })
    }

    /// The path of a backup in the data directory, for the command that restores it.
    fn example(&self) -> String {
        let name = self.state.copies.first().map(|copy| copy.name.as_str());
        format!("backups/{}", name.unwrap_or("docknap-20270301-030000.db"))
    }

    fn is_old(&self) -> bool {
        self.state.is_old(self.shell.now.at)
    }

    /// What can be downloaded.
    fn choices(&self) -> Vec<Choice> {
        let chosen = self.form.value("which");
        let option =
            |value: &str, label: String| Choice { value: value.to_owned(), label, chosen: chosen == value };
        let stored = self.state.copies.iter();
        std::iter::once(option(NOW, "A new copy, made now".to_owned()))
            .chain(stored.map(|copy| option(&copy.name, format!("{} ({})", copy.name, size(copy)))))
            .collect()
    }

    /// The hours of the day.
    fn hours(&self) -> Vec<Choice> {
        let typed = self.form.value("hour");
        let stored = self.state.hour.to_string();
        let chosen = if typed.is_empty() { stored.as_str() } else { typed };
        (0..24)
            .map(|hour: i8| Choice {
                value: hour.to_string(),
                label: format!("{hour:02}:00"),
                chosen: hour.to_string() == *chosen,
            })
            .collect()
    }
}

/// What a restore does to the objects of one kind, a line for each: `2 schedules are added: Night, Weekend`.
pub(super) fn lines(difference: &Difference) -> Vec<String> {
    let noun = match difference.kind {
        Kind::User => "account",
        Kind::Host => "host",
        Kind::Schedule => "schedule",
        Kind::Calendar => "calendar",
        Kind::Group => "group",
    };
    let all =
        [(&difference.added, "added"), (&difference.changed, "changed"), (&difference.removed, "removed")];
    all.into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, verb)| {
            let shown: Vec<String> = names.iter().take(SHOWN).map(|name| view::shown_name(name)).collect();
            let more = names.len().saturating_sub(SHOWN);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{} {verb}: {}{rest}", view::count(names.len(), noun), shown.join(", "))
        })
        .collect()
}

/// The size of a copy: `4.2 MiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn size(copy: &BackupFile) -> String {
    let mib = copy.bytes as f64 / 1_048_576.0;
    if mib < 1.0 { format!("{:.0} KiB", mib * 1024.0) } else { format!("{mib:.1} MiB") }
}

async fn show(page: Page<Admin>) -> Result<Response> {
    page.render(&BackupPage::read(&page, Refill::default()).await?)
}

async fn create(page: Page<Admin>) -> Result<Response> {
    let message = match copies::create(&page.app, &page.actor).await {
        Ok(copy) => Flash::new("good", format!("{} is made and checked.", copy.name)),
        // The page shows the cause.
        Err(Error::Conflict { .. }) => Flash::new("bad", "No backup was made; the cause is below."),
        Err(other) => return Err(other),
    };
    Ok(page.redirect_with(HERE, message).await)
}

async fn hour(page: Page<Admin>, typed: Typed) -> Result<Response> {
    match copies::set_hour(&page.app, &page.actor, typed.get("hour")).await {
        Ok(()) => Ok(page.redirect_with(HERE, Flash::new("good", "The hour is stored.")).await),
        Err(Error::Invalid(errors)) => refuse(&page, typed, errors).await,
        Err(other) => Err(other),
    }
}

async fn download(page: Page<Admin>, typed: Typed) -> Result<Response> {
    let (app, actor) = (&page.app, &page.actor);
    if let Err(error) = copies::confirm(app, actor, &typed.secret("current")).await {
        return match error {
            Error::Invalid(errors) => refuse(&page, typed, errors).await,
            other => Err(other),
        };
    }
    let opened = match typed.get("which") {
        "" | NOW => copies::download(app, actor).await,
        name => copies::open(app, actor, name).await,
    };
    match opened {
        Ok(file) => Ok(download::answer(file)),
        Err(Error::Conflict { message, .. }) => {
            refuse(&page, typed, vec![FieldError::new("which", message)]).await
        }
        Err(other) => Err(other),
    }
}

/// Receives a file, piece by piece. The password comes first, so that nobody without it fills the disk.
async fn receive(page: Page<Admin>, mut form: Multipart) -> Result<Response> {
    let received = try_receive(&page, &mut form).await;
    if received.is_err() {
        // A browser shows the answer only after it has sent everything.
        skip_rest(&mut form).await;
    }
    match received {
        Ok(()) => {
            let text = "The backup is checked. Look below at what a restore changes.";
            Ok(page.redirect_with(HERE, Flash::new("good", text)).await)
        }
        Err(Error::Invalid(errors)) => {
            let errors = errors.into_iter().map(|error| {
                if error.field == "current" {
                    FieldError::new("restore_password", error.message)
                } else {
                    error
                }
            });
            refuse(&page, Typed::default(), errors.collect()).await
        }
        Err(Error::Conflict { message, .. }) => {
            refuse(&page, Typed::default(), vec![FieldError::new("file", message)]).await
        }
        Err(other) => Err(other),
    }
}

async fn try_receive(page: &Page<Admin>, form: &mut Multipart) -> Result<()> {
    let (app, actor) = (&page.app, &page.actor);
    let mut is_confirmed = false;
    while let Some(mut field) = form.next_field().await.map_err(|error| broken(&error))? {
        let name = field.name().map(str::to_owned);
        match name.as_deref() {
            Some("restore_password") => {
                copies::confirm(app, actor, &password(&mut field).await?).await?;
                is_confirmed = true;
            }
            Some("file") => {
                if !is_confirmed {
                    return Err(Error::field("current", "type your password"));
                }
                let mut received = Upload::begin(app, actor, LARGEST)?;
                while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
                    received.write(&piece)?;
                }
                received.finish(app, actor).await?;
                return Ok(());
            }
            _ => {}
        }
    }
    Err(Error::field("file", "choose a file"))
}

/// Reads the rest of a form without keeping it, as far as the limits of size and time allow.
async fn skip_rest(form: &mut Multipart) {
    while let Ok(Some(mut field)) = form.next_field().await {
        while let Ok(Some(_)) = field.chunk().await {}
    }
}

async fn password(field: &mut Field<'_>) -> Result<SecretString> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + piece.len() > MAX_PASSWORD {
            return Err(Error::field("current", "this is not your password"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(SecretString::from(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The error of a form that did not arrive whole.
fn broken(error: &MultipartError) -> Error {
    Error::field("file", format!("the file did not arrive whole ({}); send it again", error.body_text()))
}

async fn accept(page: Page<Admin>, typed: Typed) -> Result<Response> {
    let (app, actor) = (&page.app, &page.actor);
    let accepted = async {
        copies::confirm(app, actor, &typed.secret("accept_password")).await?;
        upload::accept(app, actor, typed.get("upload")).await
    };
    let errors: Vec<FieldError> = match accepted.await {
        Ok(()) => {
            let text = "The backup is restored at the next start. Restart DockNap now.";
            return Ok(page.redirect_with(HERE, Flash::new("good", text)).await);
        }
        Err(Error::Invalid(errors)) => {
            errors.into_iter().map(|error| FieldError::new("accept_password", error.message)).collect()
        }
        Err(Error::Conflict { message, .. }) => vec![FieldError::new("accept_password", message)],
        Err(other) => return Err(other),
    };
    refuse(&page, Typed::default(), errors).await
}

async fn discard(page: Page<Admin>) -> Result<Response> {
    upload::discard(&page.app, &page.actor).await?;
    Ok(page.redirect_with(HERE, Flash::new("good", "The uploaded backup is discarded.")).await)
}

/// The page with the errors of one of its forms.
async fn refuse(page: &Page<Admin>, typed: Typed, errors: Vec<FieldError>) -> Result<Response> {
    let form = Refill::wrong(typed.without_secrets(), errors);
    page.refuse(&BackupPage::read(page, form).await?)
}

/// The question before a copy is deleted.
#[derive(Template)]
#[template(path = "settings/backup_delete.html")]
struct DeletePage<'a> {
    shell: &'a Shell,
    copy: &'a BackupFile,
}

async fn ask_delete(page: Page<Admin>, Path(name): Path<String>) -> Result<Response> {
    let state = copies::state(&page.app, &page.actor).await?;
    let Some(copy) = state.copies.iter().find(|copy| copy.name == name) else {
        return Err(Error::not_found("backup", name));
    };
    page.render(&DeletePage { shell: &page.shell, copy })
}

async fn delete(page: Page<Admin>, Path(name): Path<String>) -> Result<Response> {
    copies::delete(&page.app, &page.actor, &name).await?;
    Ok(page.redirect_with(HERE, Flash::new("good", format!("{name} is deleted."))).await)
}
