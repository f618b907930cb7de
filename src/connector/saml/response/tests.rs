use super::super::fixture::*;
use super::super::xml::DS;
use super::*;

mod attacks;
mod limits;
mod rules;
mod wrapping;
