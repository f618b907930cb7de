//! Queries of links that we write.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a value keeps as it is: unreserved characters, and `/` for readable links.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// `<link>?<name>=<value>…`, values escaped; empty values are left out. Names are ours and need no escape.
pub fn with_query(mut link: String, query: &[(&str, &str)]) -> String {
    let given = query.iter().filter(|(_, value)| !value.is_empty());
    for (i, (name, value)) in given.enumerate() {
        link.push(if i == 0 { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        link.extend(utf8_percent_encode(value, VALUE));
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was() {
        let link = with_query("/p".into(), &[("a", "x y&=?#%+ä/"), ("b", ""), ("c", "1")]);
        assert_eq!(link, "/p?a=x%20y%26%3D%3F%23%25%2B%C3%A4/&c=1");
        let read: Vec<_> = url::form_urlencoded::parse(link.split_once('?').unwrap().1.as_bytes()).collect();
        assert_eq!(read[0].1, "x y&=?#%+ä/");
        assert_eq!(with_query("/p".into(), &[("b", "")]), "/p");
    }
}
