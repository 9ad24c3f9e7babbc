//! The cases, one file or folder for each part of what is promised.

mod hostile;
mod http;
mod run;
