;; A command of WASI preview 1, as older toolchains make them: prints one line and returns.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "hello from preview 1\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64)) ;; the piece: its address
    (i32.store (i32.const 4) (i32.const 21)) ;; and its length
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
