//! XML as it is read here: one parser with limits, and elements that know their namespace.
