//! A fresh database on each database engine.
//!
//! A storage test is written once, as a function of a `TestDb`, and run on both engines by `on_both_engines!`.

use std::path::Path;

use docknap::db::Db;
use docknap::db::engine::Durability;

/// A migrated database for one test. An SQLite file is removed when the value is dropped.
pub struct TestDb {
    /// The database.
    pub db: Db,
    home: Home,
}

enum Home {
    Directory(tempfile::TempDir),
    Server,
}

impl TestDb {
    /// An SQLite file, in memory-backed storage if there is any.
    pub async fn sqlite() -> Self {
        let home = if Path::new("/dev/shm").is_dir() {
            tempfile::tempdir_in("/dev/shm")
        } else {
            tempfile::tempdir()
        }
        .expect("a temporary directory");
        let db =
            Db::open_sqlite(&home.path().join("docknap.db"), Durability::Off).await.expect("SQLite opens");
        Self { db, home: Home::Directory(home) }
    }

    /// A copy of an SQLite file of another version, migrated.
    pub async fn sqlite_from(file: &Path) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("docknap.db");
        std::fs::copy(file, &path).expect("the file is there");
        let db = Db::open_sqlite(&path, Durability::Off).await.expect("SQLite opens");
        Self { db, home: Home::Directory(home) }
    }

    /// Directory of the SQLite file; `None` on a server.
    pub fn directory(&self) -> Option<&Path> {
        match &self.home {
            Home::Directory(home) => Some(home.path()),
            Home::Server => None,
        }
    }

    /// Replaces the connections of a server: those made by a runtime that has ended would never wake again.
    pub fn reconnect(&mut self) {
        if let Db::Pg(pool) = &self.db {
            let options = pool.connect_options().as_ref().clone();
            self.db = Db::Pg(sqlx::postgres::PgPoolOptions::new().connect_lazy_with(options));
        }
    }

    /// Opens the database a second time, as another process does.
    pub async fn another(&self) -> Db {
        match (&self.db, &self.home) {
            (Db::Pg(pool), _) => {
                let options = pool.connect_options().as_ref().clone();
                Db::Pg(sqlx::postgres::PgPoolOptions::new().connect_lazy_with(options))
            }
            (Db::Sqlite { .. }, Home::Directory(home)) => {
                let path = home.path().join("docknap.db");
                Db::open_sqlite(&path, Durability::Off).await.expect("SQLite opens")
            }
            (Db::Sqlite { .. }, Home::Server) => unreachable!("an SQLite file lies in a directory"),
        }
    }

    /// A new database on the server that `DOCKNAP_TEST_POSTGRES_URL` names.
    pub async fn postgres() -> Self {
        Self::postgres_from("").await
    }

    /// As [`TestDb::postgres`], with the tables and rows of another version, migrated.
    pub async fn postgres_from(dump: &str) -> Self {
        let server = std::env::var("DOCKNAP_TEST_POSTGRES_URL")
            .expect("DOCKNAP_TEST_POSTGRES_URL names no server; scripts/test starts one");
        let name = format!("t{}", uuid::Uuid::now_v7().simple());
        let (base, _) = server.rsplit_once('/').expect("the URL ends with /DATABASE");
        let run = async |database: &str, sql: &str| {
            let own = sqlx::PgPool::connect(database).await.expect("the PostgreSQL server answers");
            let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&own).await;
            done.expect("the server takes the statements");
            own.close().await;
        };
        run(&server, &format!("CREATE DATABASE {name}")).await;
        let url = format!("{base}/{name}");
        if !dump.is_empty() {
            run(&url, dump).await;
        }
        let db = Db::open(&url).await.expect("PostgreSQL opens");
        Self { db, home: Home::Server }
    }
}

/// Runs an `async fn(TestDb)` on SQLite and on PostgreSQL, as two tests.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::db::TestDb::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::db::TestDb::postgres().await).await;
            })+
        }
    };
}
