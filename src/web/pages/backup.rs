//! The backup page: the copies of the database, their download, and the hour of the daily copy.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use crate::app::backup::copies::{self, BackupFile, State};
use crate::app::{Error, FieldError, Result};
use crate::web::auth::Admin;
use crate::web::download;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Shell};
use crate::web::view::Choice;

/// The path of the page.
const HERE: &str = "/settings/backup";
/// The value that stands for a copy made for the download.
const NOW: &str = "now";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(HERE, Access::ADMIN, show)
        .post("/settings/backup/create", Access::ADMIN, create)
        .post("/settings/backup/hour", Access::ADMIN, hour)
        .post("/settings/backup/download", Access::ADMIN, download)
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
}

impl<'a> BackupPage<'a> {
    async fn read(page: &'a Page<Admin>, form: Refill) -> Result<Self> {
        let state = copies::state(&page.app, &page.actor).await?;
        let is_file = page.app.config.database_file().is_some();
        Ok(Self { shell: &page.shell, state, form, is_file })
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
