//! What an admin can set while DockNap runs: the default zone, and the numbers of the sleep report. Everything else is
//! told at the start, and shown here with where it came from.

use super::audit::Audit;
use super::error::FieldError;
use super::schedules::{switched_on, time_anew};
use super::{Actor, App, Error, Live, Result, rulebook::RuleBook, zone};
use crate::db;
use crate::domain::audit::Change;
use crate::domain::permission::Permission;
use crate::domain::report::Prices;
use crate::domain::time;

/// The settings key of [`Prices`].
const PRICES: &str = "report";
/// Watts and prices beyond this are a slip of the finger.
const MOST: f64 = 10_000.0;
/// Letters of a currency.
const CURRENCY: usize = 8;

/// What the sleep report reckons with; nothing where nobody has said anything.
pub async fn prices(app: &App) -> Result<Prices> {
    let stored = db::settings::get(&app.db, PRICES).await?;
    Ok(stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// The zone stored for schedules that name none; `TZ` goes before it.
pub async fn stored_zone(app: &App, actor: &Actor) -> Result<Option<String>> {
    actor.require(Permission::Administer)?;
    Ok(db::settings::get(&app.db, zone::KEY).await?)
}

/// Numbers as they were typed; an empty one = not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PricesDraft {
    /// Watts of one busy core.
    pub watts_per_core: String,
    /// Watts of one GiB in use.
    pub watts_per_gib: String,
    /// Price of one kWh.
    pub price_per_kwh: String,
    /// In which currency.
    pub currency: String,
}

impl PricesDraft {
    /// The stored numbers, as a form shows them.
    pub fn of(prices: &Prices) -> Self {
        let shown = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
        Self {
            watts_per_core: shown(prices.watts_per_core),
            watts_per_gib: shown(prices.watts_per_gib),
            price_per_kwh: shown(prices.price_per_kwh),
            currency: prices.currency.clone(),
        }
    }

    fn check(&self) -> Result<Prices> {
        let mut faults = Vec::new();
        let mut number = |field: &str, text: &str, example: &str| match number(text) {
            Ok(number) => number,
            Err(()) => {
                faults.push(FieldError::new(
                    field,
                    format!("use a number from 0 to 10000, such as {example}, or nothing"),
                ));
                None
            }
        };
        let prices = Prices {
            watts_per_core: number("watts_per_core", &self.watts_per_core, "8"),
            watts_per_gib: number("watts_per_gib", &self.watts_per_gib, "0.4"),
            price_per_kwh: number("price_per_kwh", &self.price_per_kwh, "0.31"),
            currency: self.currency.trim().to_owned(),
        };
        if prices.currency.chars().count() > CURRENCY || prices.currency.chars().any(char::is_control) {
            faults.push(FieldError::new("currency", "use 8 letters at most, such as EUR"));
        }
        if faults.is_empty() { Ok(prices) } else { Err(Error::Invalid(faults)) }
    }
}

/// Reads `0.31`, or `0,31`.
fn number(text: &str) -> std::result::Result<Option<f64>, ()> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = text.parse().map_err(|_| ())?;
    if plain && (0.0..=MOST).contains(&number) { Ok(Some(number)) } else { Err(()) }
}

/// Sets the numbers of the sleep report.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] field by field.
pub async fn set_prices(app: &App, actor: &Actor, draft: &PricesDraft) -> Result<Prices> {
    actor.require(Permission::Administer)?;
    let new = draft.check()?;
    let (was, is) = (PricesDraft::of(&prices(app).await?), PricesDraft::of(&new));
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let changes = Change::between([
        ("watts_per_core", given(was.watts_per_core), given(is.watts_per_core)),
        ("watts_per_gib", given(was.watts_per_gib), given(is.watts_per_gib)),
        ("price_per_kwh", given(was.price_per_kwh), given(is.price_per_kwh)),
        ("currency", given(was.currency), given(is.currency)),
    ]);
    if !changes.is_empty() {
        let text = serde_json::to_string(&new).map_err(Error::internal)?;
        let mut tx = app.db.begin().await?;
        db::settings::put(&mut tx, PRICES, &text, app.clock.now()).await?;
        changed(app, actor, "sleep report", changes).store(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(new)
}

/// Sets the zone of schedules that name none; they follow it at once.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] where `TZ` decides; [`Error::Invalid`] for a zone that is none.
pub async fn set_zone(app: &App, actor: &Actor, name: &str) -> Result<()> {
    actor.require(Permission::Administer)?;
    if app.config.timezone.is_some() {
        return Err(Error::conflict(
            "fixed",
            "TZ is set where DockNap is started, and goes before what is set here; change it there",
        ));
    }
    let found = time::zone(name.trim()).map_err(|error| Error::field("timezone", error.to_string()))?;
    let name = time::zone_name(&found).to_owned();
    let old = db::settings::get(&app.db, zone::KEY).await?;
    if old.as_deref() == Some(&name) {
        return Ok(());
    }
    // Before the transaction, which holds a connection.
    let book = RuleBook::load(app).await?.in_zone(zone::NamedZone { name: name.clone(), zone: found });
    let schedules = switched_on(app).await?;
    let mut tx = app.db.begin().await?;
    db::settings::put(&mut tx, zone::KEY, &name, app.clock.now()).await?;
    time_anew(&mut tx, app, actor, schedules, &book, &crate::zones::chosen().version).await?;
    let change = Change { field: "timezone".to_owned(), old, new: Some(name) };
    changed(app, actor, "time zone", vec![change]).store(&mut tx).await?;
    tx.commit().await?;
    app.rules_changed(Live::Schedules);
    Ok(())
}

fn changed(app: &App, actor: &Actor, name: &str, changes: Vec<Change>) -> Audit {
    Audit::new(app, actor, "settings.update").object("settings", None, name).changes(changes)
}
