//! Settings that admins change while DockNap runs: the default time zone, and the watts and prices of the sleep report.
//! All other settings are read from the configuration at the start.

use super::audit::Audit;
use super::error::FieldError;
use super::schedules::{switched_on, time_anew};
use super::{Actor, App, Error, Live, Result, rulebook::RuleBook, zone};
use crate::db;
use crate::domain::audit::Change;
use crate::domain::permission::Permission;
use crate::domain::report::Prices;
use crate::domain::time;

/// Settings key of [`Prices`].
const PRICES: &str = "report";
/// Maximum of watts and prices; a larger value is taken for a typing error.
const MOST: f64 = 10_000.0;
/// Maximum number of characters of a currency.
const CURRENCY: usize = 8;

/// Watts and prices for the sleep report; empty where none are set.
pub async fn prices(app: &App) -> Result<Prices> {
    let stored = db::settings::get(&app.db, PRICES).await?;
    Ok(stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// The stored default zone; the environment variable `TZ` has priority over it.
pub async fn stored_zone(app: &App, actor: &Actor) -> Result<Option<String>> {
    actor.require(Permission::Administer)?;
    Ok(db::settings::get(&app.db, zone::KEY).await?)
}

/// Watts and prices as typed; an empty text = not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PricesDraft {
    /// Watts of one busy CPU core.
    pub watts_per_core: String,
    /// Watts of one GiB of memory in use.
    pub watts_per_gib: String,
    /// Price of one kWh.
    pub price_per_kwh: String,
    /// Currency of the price.
    pub currency: String,
}

impl PricesDraft {
    /// The stored values in the form of the input fields.
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

/// Parses a decimal number with point or comma, such as `0.31` or `0,31`; `None` for an empty text.
fn number(text: &str) -> std::result::Result<Option<f64>, ()> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = text.parse().map_err(|_| ())?;
    if plain && (0.0..=MOST).contains(&number) { Ok(Some(number)) } else { Err(()) }
}

/// Stores watts and prices for the sleep report.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] with every field that is wrong.
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

/// Stores the default zone and moves the due instants of the schedules without a zone of their own.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Conflict`] where `TZ` is set; [`Error::Invalid`] for an unknown zone.
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
    // Loaded before the transaction begins, because the transaction holds a connection.
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
