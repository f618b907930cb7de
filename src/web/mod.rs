//! What people see: the pages of the sign-in and of refusals.

pub mod pages;
