//! The `Link` header (RFC 8288), as far as a list's next page goes.

/// Path and query of the next page.
pub fn next(header: &str) -> Option<String> {
    let link = header.split(',').find(|link| link.contains(r#"rel="next""#))?;
    let target = link.trim().strip_prefix('<')?.split('>').next()?;
    let path = target.find("://").and_then(|scheme| target[scheme + 3..].find('/').map(|slash| slash + scheme + 3));
    Some(target[path.unwrap_or(0)..].to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_next_page_is_found_with_and_without_a_host() {
        let next = Some("/api?after=x".to_owned());
        assert_eq!(super::next(r#"</api?after=x>; rel="next""#), next);
        assert_eq!(super::next(r#"<http://h:1/api?after=x>; rel="next""#), next);
        assert_eq!(super::next(r#"</api>; rel="prev""#), None);
    }
}
