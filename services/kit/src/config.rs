//! The settings that every service has, from its environment.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::auth::{Authenticator, Key, KeyError, Limit, Mode, Verifier};
use crate::ids::TenantId;

/// The settings of a service; each is an environment variable and an option.
#[derive(Args, Clone)]
pub struct Settings {
    /// The port to serve on; each service has its own default.
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,

    /// The truth: postgres://user:password@host:5432/database, of the login that runs the migrations.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Connections to the database, at most.
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 10)]
    pub database_max_connections: u32,

    /// The cache, of a service that has one (memory, knowledge): redis://host:6379. Without it everything is the same, and slower.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// Whether callers must prove who they are. Has no default: write it out.
    #[arg(long, env = "AUTH_MODE")]
    pub auth_mode: Option<AuthMode>,

    /// `disabled`: the tenant of requests that name none.
    #[arg(long, env = "AUTH_DEFAULT_TENANT")]
    pub auth_default_tenant: Option<TenantId>,

    /// `jwt`: a file with the shared secret, for HS256.
    #[arg(long, env = "AUTH_JWT_SECRET_FILE", conflicts_with = "auth_jwt_public_key_file")]
    pub auth_jwt_secret_file: Option<PathBuf>,

    /// `jwt`: a file with the public key in PEM, for RS256, ES256 or EdDSA.
    #[arg(long, env = "AUTH_JWT_PUBLIC_KEY_FILE")]
    pub auth_jwt_public_key_file: Option<PathBuf>,

    /// `jwt`: the issuer that tokens must have.
    #[arg(long, env = "AUTH_JWT_ISSUER")]
    pub auth_jwt_issuer: Option<String>,

    /// `jwt`: the audience that tokens must have.
    #[arg(long, env = "AUTH_JWT_AUDIENCE")]
    pub auth_jwt_audience: Option<String>,

    /// Requests a second that one tenant may make of one instance; without it, any number.
    #[arg(long, env = "RATE_LIMIT_PER_SECOND")]
    pub rate_limit_per_second: Option<NonZeroU32>,
}

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// They do not: for development.
    Disabled,
    /// By a signed token.
    Jwt,
}

impl fmt::Debug for Settings {
    /// Leaves out what holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("port", &self.port)
            .field("auth_mode", &self.auth_mode)
            .field("redis", &self.redis_url.is_some())
            .finish_non_exhaustive()
    }
}

/// Settings that do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody said whether callers must prove who they are.
    #[error("AUTH_MODE is not set: write `jwt`, or `disabled` for development")]
    NoAuthMode,
    /// `jwt` without a key.
    #[error("AUTH_MODE is jwt: set AUTH_JWT_SECRET_FILE or AUTH_JWT_PUBLIC_KEY_FILE")]
    NoKey,
    /// The key's file cannot be read.
    #[error("cannot read the JWT key from {path}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Settings {
    /// Makes the authenticator that the settings ask for.
    ///
    /// # Errors
    /// [`Error`] says which variable to set.
    pub fn authenticator(&self) -> Result<Authenticator, Error> {
        let mode = match self.auth_mode.ok_or(Error::NoAuthMode)? {
            AuthMode::Disabled => Mode::Disabled {
                default_tenant: self.auth_default_tenant.clone(),
            },
            AuthMode::Jwt => Mode::Jwt(Box::new(self.verifier()?)),
        };
        Ok(Authenticator::new(mode, Limit::per_second(self.rate_limit_per_second)))
    }

    fn verifier(&self) -> Result<Verifier, Error> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| Error::KeyFile {
                path: path.clone(),
                source,
            })
        };
        let (issuer, audience) = (self.auth_jwt_issuer.as_deref(), self.auth_jwt_audience.as_deref());
        if let Some(path) = &self.auth_jwt_secret_file {
            let secret = read(path)?;
            // An editor's last line end is not part of the secret.
            return Ok(Verifier::new(Key::Secret(secret.trim_ascii_end()), issuer, audience)?);
        }
        let path = self.auth_jwt_public_key_file.as_ref().ok_or(Error::NoKey)?;
        Ok(Verifier::new(Key::Public(&read(path)?), issuer, audience)?)
    }
}
