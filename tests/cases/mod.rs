//! The cases, one file or folder for each part of what is promised.

mod build;
mod components;
mod control;
mod dna;
mod first_minutes;
mod flight;
mod glands;
mod help;
mod hormones;
mod hostile;
mod hosts;
mod http;
mod limits;
mod manifest;
mod neuron;
mod readmes;
mod record;
mod run;
mod secrets;
mod sim;
mod task;
mod tidy;
mod top;
mod trust;
mod wish;
mod zombies;
