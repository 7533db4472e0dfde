//! The sample stacks of `docknap demo`, which show as many features and states as possible.

use std::time::Duration;

use super::world::{Initially, Restart, World};

const MIB: u64 = 1 << 20;

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sample stacks: healthchecks, the three historical forms of `depends_on`, a completed one-shot, a protected database,
/// one stack asleep, one partly so, and containers without a stack.
pub fn world() -> World {
    let world = home(work(World::new()));
    world
        .container("adguard", |c| {
            c.image("adguard/adguardhome:v0.107").restart(Restart::Always).protect().up_for(minutes(40_000))
        })
        .container("speedtest", |c| {
            c.image("openspeedtest/latest:v2").restart(Restart::UnlessStopped).stopped()
        })
}

fn work(world: World) -> World {
    world
        .stack("billing-stack", |s| {
            s.service("db", |c| {
                c.image("postgres:16")
                    .healthy_after(seconds(4))
                    .stops_after(seconds(2), 0)
                    .stop_timeout(30)
                    .restart(Restart::UnlessStopped)
                    .uses(3, 420 * MIB)
                    .prints("database system is ready to accept connections")
                    .up_for(minutes(3000))
            })
            .service("cache", |c| c.image("redis:7").uses(1, 24 * MIB).up_for(minutes(3000)))
            .service("migrate", |c| {
                c.image("billing/api:4.2")
                    .depends_on("db:service_healthy:false")
                    .exits(seconds(3), 0)
                    .prints("applied 0 migrations")
                    .exited(0)
            })
            .service("api", |c| {
                c.image("billing/api:4.2")
                    .depends_on(
                        "db:service_healthy:true,cache:service_started:false,migrate:service_completed_successfully:false",
                    )
                    .healthy_after(seconds(3))
                    .stops_after(seconds(1), 0)
                    .restart(Restart::UnlessStopped)
                    .uses(6, 310 * MIB)
                    .prints("listening on 0.0.0.0:8000")
                    .up_for(minutes(2999))
            })
            .service("worker", |c| {
                c.image("billing/api:4.2")
                    .depends_on("cache:service_started:false,db:service_healthy:true")
                    .replicas(2)
                    .stops_after(seconds(5), 0)
                    .uses(9, 280 * MIB)
                    .up_for(minutes(2999))
            })
        })
        .stack("staging-shop", |s| {
            // `depends_on` in the form without the third part.
            s.service("mysql", |c| {
                c.image("mysql:8.4").healthy_after(seconds(8)).stops_after(seconds(3), 0).stopped()
            })
            .service("php", |c| {
                c.image("shop/php:8.3").depends_on("mysql:service_healthy").restart(Restart::Always).stopped()
            })
            .service("nginx", |c| c.image("nginx:1.27").depends_on("php:service_started").stopped())
            .service("mailpit", |c| c.image("axllent/mailpit:v1.21").stopped())
        })
}

fn home(world: World) -> World {
    world
        .stack("media", |s| {
            // `depends_on` in the form of docker-compose 1 and its first successors: names alone.
            s.compose_v1()
                .service("vpn", |c| {
                    c.image("qmcgaw/gluetun:v3").healthy_after(seconds(5)).uses(2, 60 * MIB).up_for(minutes(600))
                })
                .service("torrent", |c| {
                    c.image("linuxserver/qbittorrent:5.0.3")
                        .network_of("media_vpn_1")
                        .depends_on("vpn")
                        .stops_after(seconds(4), 0)
                        .uses(12, 350 * MIB)
                        .up_for(minutes(599))
                })
                .service("jellyfin", |c| {
                    c.image("jellyfin/jellyfin:10.10")
                        .healthy_after(seconds(6))
                        .uses(18, 900 * MIB)
                        .up_for(minutes(600))
                })
                .service("photos", |c| {
                    c.image("linuxserver/photoprism:latest")
                        .depends_on("jellyfin,vpn")
                        .initially(Initially::Paused(minutes(600)))
                })
        })
        .stack("monitoring", |s| {
            s.service("prometheus", |c| {
                c.image("prom/prometheus:v3.0.1").healthy_after(seconds(2)).uses(4, 500 * MIB).up_for(minutes(9000))
            })
            .service("grafana", |c| {
                c.image("grafana/grafana:11.4.0")
                    .depends_on("prometheus:service_started:false")
                    .uses(1, 180 * MIB)
                    .up_for(minutes(9000))
            })
            .service("store", |c| {
                c.image("postgres:16")
                    .protect()
                    .healthy_after(seconds(4))
                    .uses(1, 200 * MIB)
                    .up_for(minutes(9000))
            })
            .service("alerts", |c| {
                c.image("prom/alertmanager:v0.27.0")
                    .restart(Restart::OnFailure(3))
                    .exits(seconds(2), 1)
                    .complains("error loading config file: open /etc/alertmanager/config.yml: no such file or directory")
                    .exited(1)
            })
        })
}
