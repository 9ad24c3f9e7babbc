//! The standard gene that serves a folder of files.
//!
//! It serves what is granted to it at `/site`: types by extension, strong ETags from the content,
//! `If-None-Match`, single ranges, HEAD, `index.html`, a redirect to the trailing slash of a
//! folder, and `/site/404.html` where nothing is found.
//!
//! # Configuration
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `base` | the prefix under which it is mounted, taken off the path: with `/docs`, `/docs/a` is `/site/a` | none |
//! | `cache-control` | the header of that name on what is found | `no-cache` (keep, but ask again) |
//! | `watch` | `true`: look at size and time of a file again at each request | `false` |
//!
//! Without `watch`, files are taken to stay as they are while a cell lives: a folder packed into
//! the DNA cannot change under it.
//!
//! # What it never does
//!
//! It never leaves its folder: `..`, backslashes, NUL and encoded slashes are not found, nor is
//! anything behind a symbolic link. It never shows names that begin with a dot, except
//! `.well-known`. It never lists a folder. It never holds more than 8 MiB of files; larger files
//! stream.

mod kinds;
mod names;
mod ranges;
mod shelf;

use std::path::PathBuf;
use std::sync::OnceLock;

use cyte_sdk::prelude::*;

use names::Name;
use ranges::Wanted;
use shelf::{Found, Item, Shelf};

struct StaticSite;

impl Drone for StaticSite {
    fn handle(request: Request) -> Result<Response, Error> {
        static SITE: OnceLock<Site> = OnceLock::new();
        let site = match SITE.get() {
            Some(site) => site,
            None => {
                let site = Site::configured()?;
                SITE.get_or_init(|| site)
            }
        };
        site.answer(&request)
    }
}

cyte_sdk::drone!(StaticSite);

/// One folder, and how it is served. Lives as long as its cell.
struct Site {
    shelf: Shelf,
    /// Without a slash at its end; empty where nothing is taken off.
    base: String,
    cache_control: HeaderValue,
}

impl Site {
    fn configured() -> Result<Self, Error> {
        let watch = match config::get_or("watch", "false")?.as_str() {
            "true" => true,
            "false" => false,
            other => return Err(Error::msg(format!("config watch: true or false, not {other:?}"))),
        };
        let cache_control = config::get_or("cache-control", "no-cache")?;
        let base = config::get_or("base", "")?;
        Ok(Self {
            shelf: Shelf::new(PathBuf::from("/site"), watch),
            base: base.trim_end_matches('/').to_owned(),
            cache_control: HeaderValue::try_from(cache_control)?,
        })
    }

    fn answer(&self, request: &Request) -> Result<Response, Error> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Response::text("use GET or HEAD\n")
                .with_status(StatusCode::METHOD_NOT_ALLOWED)
                .with_header(header::ALLOW, "GET, HEAD");
        }
        let Some(name) = self.below_base(request.path()).and_then(Name::parse) else {
            return self.missing(request);
        };
        match self.shelf.find(&name)? {
            Found::File(item) => self.give(request, &item),
            Found::Folder => self.redirect(request),
            Found::Nothing => self.missing(request),
        }
    }

    /// What is left of a path without the base; none outside it.
    fn below_base<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.base.as_str())?;
        // `/docsx` is not below `/docs`; `/docs` itself is its folder, without the slash.
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// To the same path with a slash at its end, so that links within a page lead to its folder.
    fn redirect(&self, request: &Request) -> Result<Response, Error> {
        let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
        // One slash at its front, as `Name` has seen to: no way to another host.
        let location = format!("{}/{query}", request.path());
        Response::empty(StatusCode::PERMANENT_REDIRECT).with_header(header::LOCATION, location)
    }

    fn missing(&self, request: &Request) -> Result<Response, Error> {
        let page = Name::parse("/404.html").map(|name| self.shelf.find(&name)).transpose()?;
        let Some(Found::File(item)) = page else {
            return Ok(Response::text("not found\n").with_status(StatusCode::NOT_FOUND));
        };
        let mut response = item.response(request, 0..item.length)?.with_status(StatusCode::NOT_FOUND);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(response)
    }

    /// The file, the part of it that is wanted, or that it has not changed.
    fn give(&self, request: &Request, item: &Item) -> Result<Response, Error> {
        let mut response = if ranges::is_known(request.header(header::IF_NONE_MATCH), &item.tag) {
            Response::empty(StatusCode::NOT_MODIFIED)
        } else {
            match ranges::wanted(request, item) {
                Wanted::All => item.response(request, 0..item.length)?,
                Wanted::Part(part) => {
                    let range = format!("bytes {}-{}/{}", part.start, part.end - 1, item.length);
                    item.response(request, part)?
                        .with_status(StatusCode::PARTIAL_CONTENT)
                        .with_header(header::CONTENT_RANGE, range)?
                }
                Wanted::Outside => Response::empty(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with_header(header::CONTENT_RANGE, format!("bytes */{}", item.length))?,
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, HeaderValue::try_from(item.tag.as_str())?);
        headers.insert(header::CACHE_CONTROL, self.cache_control.clone());
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(response)
    }
}

#[cfg(test)]
mod tests;
