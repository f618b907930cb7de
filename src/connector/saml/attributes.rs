//! From an assertion's attributes to a person.
