;; The smallest drone: exports wasi:http/incoming-handler and answers nothing.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  (core module $m (func (export "handle") (param i32 i32)))
  (core instance $i (instantiate $m))
  (type $handle (func (param "request" (own $request)) (param "response-out" (own $outparam))))
  (func $handle-it (type $handle) (canon lift (core func $i "handle")))
  (component $wrap
    (import "import-type-request" (type $request (sub resource)))
    (import "import-type-outparam" (type $outparam (sub resource)))
    (import "import-func-handle" (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))))
    (export $request2 "incoming-request" (type $request))
    (export $outparam2 "response-outparam" (type $outparam))
    (export "handle" (func $handle) (func (param "request" (own $request2)) (param "response-out" (own $outparam2)))))
  (instance $wrapped (instantiate $wrap
    (with "import-type-request" (type $request))
    (with "import-type-outparam" (type $outparam))
    (with "import-func-handle" (func $handle-it))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $wrapped)))
