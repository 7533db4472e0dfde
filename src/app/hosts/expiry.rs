//! Notices of certificates that end soon: each 30, 14 and 3 days ahead, and when one has ended.

use jiff::Timestamp;

use crate::app::{App, Live};
use crate::docker::{Certificate, Host};

/// The numbers of days ahead at which an end is told; 0 = it has ended.
const DAYS: [i64; 4] = [0, 3, 14, 30];
const MS_OF_DAY: i64 = 24 * 3600 * 1000;

/// The notice that is due: the smallest number of days within which a certificate ends; `None` if it ends later.
pub fn notice(not_after: Timestamp, now: Timestamp) -> Option<i64> {
    let left = not_after.as_millisecond() - now.as_millisecond();
    DAYS.into_iter().find(|days| left <= days * MS_OF_DAY)
}

/// The certificate of a host that ends first, if that is soon.
pub fn first_to_end(certificates: &[Certificate], now: Timestamp) -> Option<&Certificate> {
    let first = certificates.iter().min_by_key(|one| one.not_after)?;
    notice(first.not_after, now).map(|_| first)
}

/// Writes the notice that is due to the log, once for each number of days, and refreshes the pages.
pub(in crate::app) fn tell(app: &App, host: &Host) {
    let (now, certificates) = (app.clock.now(), host.certificates());
    let Some(one) = first_to_end(&certificates, now) else { return };
    let Some(days) = notice(one.not_after, now).filter(|days| host.tells_expiry(one.not_after, *days)) else {
        return;
    };
    let (id, whose, name, until) = (host.id(), one.role.whose(), &one.subject, one.not_after);
    if days == 0 {
        tracing::error!(host = %id, whose, name, %until, "a certificate has ended: renew it");
    } else {
        tracing::warn!(host = %id, whose, name, %until, "a certificate ends within {days} days: renew it");
    }
    app.bus.send(Live::Needs);
}

/// As [`tell`], for every host; runs once a day.
pub fn tell_all(app: &App) {
    for host in app.hosts.all() {
        tell(app, &host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_told_at_each_number_of_days() {
        let end: Timestamp = "2027-03-31T12:00:00Z".parse().expect("an instant");
        for (now, due) in [
            ("2027-03-01T11:59:59Z", None),
            ("2027-03-01T12:00:00Z", Some(30)),
            ("2027-03-17T11:59:59Z", Some(30)),
            ("2027-03-17T12:00:00Z", Some(14)),
            ("2027-03-28T12:00:00Z", Some(3)),
            ("2027-03-31T11:59:59Z", Some(3)),
            ("2027-03-31T12:00:00Z", Some(0)),
        ] {
            assert_eq!(notice(end, now.parse().expect("an instant")), due, "{now}");
        }
    }
}
