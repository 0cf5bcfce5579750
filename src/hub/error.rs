//! Why something could not be brought from a hub.

/// Why something could not be brought from a hub.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// This build has no network.
    #[error(
        "this build of omni cannot download `{id}`: build it with the feature `hub`, or run `hf download {id}`"
    )]
    NotBuilt {
        /// The repository.
        id: String,
    },
    /// The environment forbids it.
    #[error(
        "`{id}` is not in the cache as a whole, and HF_HUB_OFFLINE forbids to download it: unset it, or name a folder"
    )]
    Offline {
        /// The repository.
        id: String,
    },
    /// There is no cache to download into.
    #[error("there is no cache to download `{id}` into: set HF_HUB_CACHE to a folder")]
    NoCache {
        /// The repository.
        id: String,
    },
    /// The server cannot be reached, or refuses.
    #[error("cannot download `{id}` from {endpoint}: {message}{}", advice(message, id))]
    Request {
        /// The repository, and the file of it where one was asked for.
        id: String,
        /// The server.
        endpoint: String,
        /// What went wrong.
        message: String,
    },
    /// The repository holds nothing of what is wanted.
    #[error("`{id}` has nothing to download{}: it holds {held}", place(inside))]
    Nothing {
        /// The repository.
        id: String,
        /// The folder that was asked for; empty for the top.
        inside: String,
        /// What there is.
        held: String,
    },
    /// The server sent something that must not be stored.
    #[error("the server's answer about `{file}` is refused: {reason}")]
    Refused {
        /// The file.
        file: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A file in the cache cannot be read or written.
    #[error("cannot store `{}`", path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a status code asks the reader to do.
fn advice(message: &str, id: &str) -> String {
    if message.contains("404") {
        format!("; check the spelling of `{id}`, and of its revision")
    } else if message.contains("401") || message.contains("403") {
        "; it may not exist, or need a token: set HF_TOKEN, or run `hf auth login`".to_owned()
    } else {
        String::new()
    }
}

fn place(inside: &str) -> String {
    if inside.is_empty() { String::new() } else { format!(" in `{inside}`") }
}
