//! DuckDB in this process, by way of ADBC, the C interface that its library offers to drivers.
//!
//! The library is loaded while the process runs (`docs/decisions/0009-duckdb-is-loaded.md`), so it need not be there when the
//! service is built, nor when it runs. What is opened is a database in memory of its own: it reads and writes no file, loads no
//! extension, and goes with its last connection.

use std::sync::{Mutex, PoisonError};

use adbc_core::options::{AdbcVersion, IngestMode, OptionDatabase, OptionStatement, OptionValue};
use adbc_core::{Connection as _, Database as _, Driver as _, Optionable as _, Statement as _};
use adbc_driver_manager::{ManagedConnection, ManagedDatabase, ManagedDriver};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchIterator};

/// Most memory of a graph, in bytes. A small one takes 2 MB, one of 50,000 items and 200,000 links 130 MB.
pub const LIMIT: u64 = 256 << 20;

/// What every database is told when it is opened, beside its limit.
const SETTINGS: [(&str, &str); 4] = [
    ("threads", "1"),
    ("temp_directory", ""),
    ("enable_external_access", "false"),
    ("autoload_known_extensions", "false"),
];

/// The library or a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such library, or it is none of DuckDB's.
    #[error("DuckDB's library {name} cannot be loaded: {cause}")]
    Library {
        /// Its name.
        name: String,
        /// Why not.
        cause: String,
    },
    /// DuckDB refused.
    #[error("DuckDB refused: {0}")]
    Refused(String),
}

impl From<adbc_core::error::Error> for Error {
    fn from(error: adbc_core::error::Error) -> Self {
        Self::Refused(error.message)
    }
}

/// The loaded library.
#[derive(Debug)]
pub struct Engine {
    driver: Mutex<ManagedDriver>,
}

impl Engine {
    /// Loads the library of a file, or of a name that the system's loader knows.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn load(name: &str) -> Result<Self, Error> {
        ManagedDriver::load_dynamic_from_filename(name, Some(b"duckdb_adbc_init"), AdbcVersion::V110)
            .map(|driver| Self {
                driver: Mutex::new(driver),
            })
            .map_err(|error| Error::Library {
                name: name.to_owned(),
                cause: error.message,
            })
    }

    /// Opens a new, empty database in memory.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn open(&self) -> Result<Base, Error> {
        let limit = format!("{}MiB", LIMIT >> 20);
        let settings = SETTINGS.into_iter().chain([("memory_limit", limit.as_str())]);
        let settings = settings.map(|(name, value)| {
            let name = OptionDatabase::Other(name.to_owned());
            (name, OptionValue::String(value.to_owned()))
        });
        // A thread that ended in the middle of this left nothing half done behind.
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let database = driver.new_database_with_opts(settings)?;
        Ok(Base { database })
    }
}

/// A database in memory.
#[derive(Clone)]
pub struct Base {
    database: ManagedDatabase,
}

impl Base {
    /// Opens a connection; each sees what others have committed.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn connect(&self) -> Result<Session, Error> {
        let connection = self.database.new_connection()?;
        Ok(Session { connection })
    }
}

/// A connection.
pub struct Session {
    connection: ManagedConnection,
}

impl Session {
    /// Runs statements, one after the other.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn run(&mut self, script: &str) -> Result<(), Error> {
        let without_comments: String = script
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .flat_map(|line| [line, "\n"])
            .collect();
        for statement in without_comments
            .split(';')
            .filter(|statement| !statement.trim().is_empty())
        {
            let mut prepared = self.connection.new_statement()?;
            prepared.set_sql_query(statement)?;
            prepared.execute_update()?;
        }
        Ok(())
    }

    /// Asks a question with parameters, each an array of one value.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn ask(&mut self, question: &str, parameters: &[ArrayRef]) -> Result<Vec<RecordBatch>, Error> {
        let mut statement = self.connection.new_statement()?;
        statement.set_sql_query(question)?;
        let named = parameters
            .iter()
            .enumerate()
            .map(|(at, value)| (format!("p{at}"), value.clone(), true));
        let row = RecordBatch::try_from_iter_with_nullable(named).map_err(adbc_core::error::Error::from)?;
        statement.bind(row)?;
        let rows: Result<Vec<RecordBatch>, _> = statement.execute()?.collect();
        Ok(rows.map_err(adbc_core::error::Error::from)?)
    }

    /// Adds rows to a table.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn fill(&mut self, table: &str, rows: RecordBatch) -> Result<(), Error> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let mut statement = self.connection.new_statement()?;
        statement.set_option(OptionStatement::TargetTable, OptionValue::String(table.to_owned()))?;
        statement.set_option(OptionStatement::IngestMode, IngestMode::Append.into())?;
        let schema = rows.schema();
        statement.bind_stream(Box::new(RecordBatchIterator::new([Ok(rows)], schema)))?;
        statement.execute_update()?;
        Ok(())
    }
}
