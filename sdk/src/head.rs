//! The head of a request: fetched from the host only where somebody asks for it.
//!
//! Each part costs a call to the host and a copy. A handler that looks at the path alone pays for
//! the path alone.

use std::cell::OnceCell;

use http::{HeaderMap, Method, Uri};

use crate::Body;

/// A request that the host holds; in a native test there is none.
pub trait Source {
    /// The method.
    fn method(&self) -> Method;
    /// Path and query as they came, `/` at least.
    fn target(&self) -> String;
    /// Scheme, authority and `target`.
    fn uri(&self, target: &str) -> Uri;
    /// The headers.
    fn headers(&self) -> HeaderMap;
}

/// A body that a request can have.
pub trait Opens: Default {
    /// What the host holds of such a request.
    #[doc(hidden)]
    type Source: Source;

    /// Takes the body out of the request. `keep` says whether the head will still be looked at.
    #[doc(hidden)]
    fn open(head: &mut Head<Self::Source>, keep: bool) -> Self;
}

impl Opens for Body {
    type Source = crate::sys::Source;

    fn open(head: &mut Head<Self::Source>, _keep: bool) -> Self {
        head.source.as_ref().map(crate::sys::open).unwrap_or_default()
    }
}

#[cfg(feature = "p3")]
impl Opens for crate::p3::Body {
    type Source = crate::p3::Source;

    /// In WASI 0.3 the request ends where its body begins.
    fn open(head: &mut Head<Self::Source>, keep: bool) -> Self {
        if head.source.is_some() && keep {
            head.fetch();
        }
        head.source.take().map(crate::p3::open).unwrap_or_default()
    }
}

/// Method, target and headers of a request, each fetched at first use.
pub struct Head<S> {
    /// None where all parts were given, or were fetched already.
    source: Option<S>,
    method: OnceCell<Method>,
    target: OnceCell<String>,
    uri: OnceCell<Uri>,
    headers: OnceCell<HeaderMap>,
}

impl<S: Source> Head<S> {
    /// The head of a request that the host holds.
    #[cfg(target_family = "wasm")]
    pub(crate) fn arriving(source: S) -> Self {
        Self {
            source: Some(source),
            method: OnceCell::new(),
            target: OnceCell::new(),
            uri: OnceCell::new(),
            headers: OnceCell::new(),
        }
    }

    pub(crate) fn given(method: Method, uri: Uri, headers: HeaderMap) -> Self {
        Self {
            source: None,
            method: method.into(),
            target: OnceCell::new(),
            uri: uri.into(),
            headers: headers.into(),
        }
    }

    pub(crate) fn method(&self) -> &Method {
        self.method.get_or_init(|| self.source.as_ref().map(Source::method).unwrap_or_default())
    }

    /// Path and query, as they came: `/a?b=c`.
    pub(crate) fn target(&self) -> &str {
        self.target.get_or_init(|| match &self.source {
            Some(source) => source.target(),
            None => self.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        })
    }

    pub(crate) fn uri(&self) -> &Uri {
        self.uri
            .get_or_init(|| self.source.as_ref().map(|source| source.uri(self.target())).unwrap_or_default())
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| self.source.as_ref().map(Source::headers).unwrap_or_default())
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers();
        match self.headers.get_mut() {
            Some(headers) => headers,
            None => unreachable!("filled in the line above"),
        }
    }

    /// Makes every part independent of the host's request.
    fn fetch(&self) {
        self.method();
        self.uri();
        self.headers();
    }

    /// All parts.
    pub(crate) fn into_parts(self) -> (Method, Uri, HeaderMap) {
        self.fetch();
        let Self { method, uri, headers, .. } = self;
        (
            method.into_inner().unwrap_or_default(),
            uri.into_inner().unwrap_or_default(),
            headers.into_inner().unwrap_or_default(),
        )
    }
}
