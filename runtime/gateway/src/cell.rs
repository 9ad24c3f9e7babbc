//! The one place that names what stands behind the gateway. The gateway's own tests put a
//! scripted tissue there, so that they run over real sockets without a Wasm engine.

#[cfg(not(test))]
pub(crate) use cyte_engine::{CellBody, Tissue};

#[cfg(test)]
pub(crate) use scripted::{CellBody, Tissue};

/// A body that is there already, from another host.
#[cfg(not(test))]
pub(crate) fn whole(bytes: bytes::Bytes, trailers: Option<http::HeaderMap>) -> CellBody {
    CellBody::whole(bytes, trailers)
}

#[cfg(test)]
pub(crate) use scripted::whole;

#[cfg(test)]
pub(crate) mod scripted {
    use std::pin::Pin;
    use std::sync::Arc;

    use bytes::Bytes;
    use cyte_dna::Gene;
    use cyte_engine::{CallError, CallFacts, Unserved, Wait};
    use cyte_organism::Nanos;
    use http::{HeaderMap, Request, Response};
    use http_body_util::combinators::UnsyncBoxBody;
    use http_body_util::{BodyExt, Full};

    pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
    pub(crate) type CellBody = UnsyncBoxBody<Bytes, BoxError>;
    pub(crate) type Reply = Pin<Box<dyn Future<Output = Result<Response<CellBody>, CallError>> + Send>>;
    pub(crate) type Script = Box<dyn Fn(Request<CellBody>) -> Reply + Send + Sync>;

    /// A tissue that answers by a script.
    pub struct Tissue {
        gene: Gene,
        script: Script,
    }

    impl Tissue {
        pub(crate) fn new(gene: Gene, script: Script) -> Arc<Self> {
            Arc::new(Tissue { gene, script })
        }

        pub(crate) fn gene(&self) -> &Gene {
            &self.gene
        }

        pub(crate) async fn make_room(&self, _most: Option<Nanos>) -> Result<(), CallError> {
            Ok(())
        }

        pub(crate) async fn serve<B>(
            self: &Arc<Self>,
            request: Request<B>,
            _call: CallFacts,
            _wait: Wait<'_>,
        ) -> Result<Response<CellBody>, Unserved<B>>
        where
            B: http_body::Body<Data = Bytes> + Send + 'static,
            B::Error: Into<BoxError>,
        {
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            (self.script)(request).await.map_err(Unserved::seen)
        }
    }

    pub(crate) fn whole(bytes: Bytes, trailers: Option<HeaderMap>) -> CellBody {
        let trailers = trailers.map(Ok);
        Full::new(bytes).with_trailers(async { trailers }).map_err(Into::into).boxed_unsync()
    }
}
