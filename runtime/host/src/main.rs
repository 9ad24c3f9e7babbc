//! The binary `cyte`; everything is in the library.

fn main() -> std::process::ExitCode {
    cyte::main()
}
