#!/bin/sh
# Writes the bindings in src/bindings from ../wit, or with --check only says whether they match.
# Needs wit-bindgen (cargo install wit-bindgen-cli@0.63.0 --locked), on PATH or named by
# $WIT_BINDGEN. Its version and the wit-bindgen crate in Cargo.toml go together.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wit_bindgen=${WIT_BINDGEN:-wit-bindgen}
want="wit-bindgen-cli 0.63.0"

version=$("$wit_bindgen" --version) || {
    echo "bindings.sh: $wit_bindgen does not run. help: cargo install wit-bindgen-cli@0.63.0 --locked" >&2
    exit 1
}
case "$version" in
"$want"*) ;;
*)
    echo "bindings.sh: needs $want, found $version. help: cargo install wit-bindgen-cli@0.63.0 --locked" >&2
    exit 1
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/wit/deps/cyte-cell" "$work/out"
cp "$here/src/bindings/worlds.wit" "$work/wit/worlds.wit"
cp "$here/../wit/cell.wit" "$work/wit/deps/cyte-cell/cell.wit"
cp -R "$here/../wit/deps/." "$work/wit/deps/"

# One world at a time: $1 is its name, the rest are further options.
generate() {
    world=$1
    shift
    "$wit_bindgen" rust "$work/wit" --world "cyte:sdk/$world" --out-dir "$work/out" \
        --generate-all --format --ownership borrowing --runtime-path ::wit_bindgen::rt \
        "$@" >/dev/null
}

generate abilities
generate drone --pub-export-macro --export-macro-name __export_drone \
    --default-bindings-module '$crate::bindings::drone'
generate task --pub-export-macro --export-macro-name __export_task \
    --default-bindings-module '$crate::bindings::task'
generate neuron --pub-export-macro --export-macro-name __export_neuron \
    --default-bindings-module '$crate::bindings::neuron'
generate receptor --pub-export-macro --export-macro-name __export_receptor \
    --default-bindings-module '$crate::bindings::receptor'
generate lifecycle --pub-export-macro --export-macro-name __export_lifecycle \
    --default-bindings-module '$crate::bindings::lifecycle'
generate zombies --pub-export-macro --export-macro-name __export_zombies \
    --default-bindings-module '$crate::bindings::zombies'
generate log-sink --pub-export-macro --export-macro-name __export_log_sink \
    --default-bindings-module '$crate::bindings::log_sink'
generate metrics --pub-export-macro --export-macro-name __export_metrics \
    --default-bindings-module '$crate::bindings::metrics'
generate drone-p3 --pub-export-macro --export-macro-name __export_drone_p3 \
    --default-bindings-module '$crate::bindings::drone_p3'

status=0
for world in abilities drone task neuron receptor lifecycle zombies log_sink metrics drone_p3; do
    made="$work/out/$world.rs"
    kept="$here/src/bindings/$world.rs"
    if [ "${1:-}" = "--check" ]; then
        cmp -s "$made" "$kept" || {
            echo "bindings.sh: src/bindings/$world.rs does not match wit/. help: run sdk/bindings.sh" >&2
            status=1
        }
    else
        cp "$made" "$kept"
    fi
done
exit $status
