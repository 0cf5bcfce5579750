//! A failed match in words.

use std::fmt;

use super::{NoMatch, Reason, Status};
use crate::diag::{Problem, Span};
use crate::facts::Facts;

impl NoMatch {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        let help = self.help_with_reason();
        if self.local_definition { format!("{}; {help}", super::ALLOW_LOCAL_DEFINITION) } else { help }
    }

    fn help_with_reason(&self) -> String {
        match &self.reason {
            Reason::NoConfig => {
                "give the directory that holds the model's config.json; `omni scan DIR` lists the models below one"
                    .to_owned()
            }
            Reason::NothingNamed { .. } => {
                let mut help =
                    "add `architectures` to the config, or a rule that recognises its layout".to_owned();
                help.extend(self.best_candidate().map(|best| format!("; {best}")));
                help
            }
            Reason::Tie { .. } => "say in the registry which one is meant".to_owned(),
            Reason::SeveralFit { file, .. } => {
                format!("name the one that is meant under `architectures` in `{file}`")
            }
            Reason::Unknown => self.help_with_unknown(),
        }
    }

    fn best_candidate(&self) -> Option<String> {
        let best = self.candidates.first()?;
        Some(format!(
            "its tensors come nearest to `{}` ({} agree, {} missing, {} unexpected, {} of another shape)",
            best.architecture, best.agree, best.missing, best.unexpected, best.reshaped
        ))
    }

    fn help_with_unknown(&self) -> String {
        let mut parts = Vec::new();
        if let Some(near) = self.nearest.first() {
            let others: Vec<String> = self.nearest.iter().map(|near| format!("`{}`", near.name)).collect();
            let defined = match near.status {
                Status::Defined => "",
                Status::Known => " (known, not yet defined)",
            };
            parts.push(format!("nearest known names: {}{defined}", others.join(", ")));
        }
        parts.extend(self.best_candidate());
        if !self.custom_code.is_empty() {
            parts.push(format!(
                "it brings code of its own, which is never run: {}",
                self.custom_code.join(", ")
            ));
        }
        parts.push("`omni new DIR` writes a definition to start from".to_owned());
        parts.join("; ")
    }

    /// The same as a diagnostic that points into the config.
    #[must_use]
    pub fn problem(&self, facts: &Facts) -> Problem {
        let code = match self.reason {
            Reason::NoConfig => "no-config",
            Reason::NothingNamed { .. } => "nothing-named",
            Reason::Unknown => "unknown-architecture",
            Reason::Tie { .. } | Reason::SeveralFit { .. } => "tie",
        };
        let problem = match self.place(facts) {
            Some(span) => Problem::error(code, span, self.to_string()).label("named here"),
            None => Problem::unplaced(code, self.to_string()),
        };
        problem.help(self.help())
    }

    /// Where the config gives the name that is not known.
    fn place(&self, facts: &Facts) -> Option<Span> {
        if self.reason != Reason::Unknown {
            return None;
        }
        let source = &facts.config()?.source;
        let name = self.claimed.first().or(self.model_type.as_ref())?;
        let quoted = format!("\"{name}\"");
        let start = source.text.find(&quoted)?;
        Some(Span::new(source, start..start + quoted.len()))
    }
}

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::NoConfig => write!(f, "no config.json found in `{}`", self.directory),
            Reason::NothingNamed { file } => {
                write!(
                    f,
                    "architecture not recognized: `{file}` names neither an architecture nor a model_type"
                )
            }
            Reason::Tie { what, of, between } => {
                write!(f, "{what} `{of}` could be any of `{}`", between.join("`, `"))
            }
            Reason::SeveralFit { between, .. } => {
                write!(f, "the tensors of `{}` could be any of `{}`", self.directory, between.join("`, `"))
            }
            Reason::Unknown => {
                f.write_str("architecture not recognized: ")?;
                match (self.claimed.as_slice(), &self.model_type) {
                    ([], Some(model_type)) => write!(f, "model_type `{model_type}`"),
                    (names, None) => write!(f, "`{}`", names.join("`, `")),
                    (names, Some(model_type)) => {
                        write!(f, "`{}` (model_type `{model_type}`)", names.join("`, `"))
                    }
                }
            }
        }
    }
}

impl std::error::Error for NoMatch {}
