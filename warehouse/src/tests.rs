//! The promises of the warehouse as a whole, each a test; those of single parts stand beside their code.

mod commits;
mod concurrency;
mod damage;
mod faults;
mod fixture;
mod order;
mod patients;
mod retain;
