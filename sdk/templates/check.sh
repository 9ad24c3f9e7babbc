#!/bin/sh
# Makes a project of every template, as `cyte new` does, and builds and tests it natively and for
# Wasm. With --lock it writes the Cargo.lock of each template anew; without, they must fit.
#
# A template is a folder. A file whose name ends with `.tmpl` loses that ending, and in it {{name}} is
# the project's name and {{sdk}} the path from the file's folder to the SDK; other files stay as
# they are.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for template in "$here"/*/; do
    template=$(basename "$template")
    project="$work/$template"
    cp -R "$here/$template" "$project"
    find "$project" -name '*.tmpl' | while read -r file; do
        sed -e 's/{{name}}/demo/g' -e 's#{{sdk}}#../../.cyte/sdk-0.1.0#g' "$file" >"${file%.tmpl}"
        rm "$file"
    done
    if grep -rn '{{' "$project" | grep -v 'secret:'; then
        echo "check.sh: $template has a placeholder that nobody fills" >&2
        exit 1
    fi
    [ -f "$project/Cargo.toml" ] || { echo "$template: no crate"; continue; }
    sdk="$project/.cyte/sdk-0.1.0"
    mkdir -p "$sdk"
    cp -R "$here/../src" "$here/../Cargo.toml" "$here/../README.md" "$sdk/"
    locked=--locked
    if [ "${1:-}" = "--lock" ]; then
        (cd "$project" && cargo generate-lockfile --quiet)
        cp "$project/Cargo.lock" "$here/$template/Cargo.lock.tmpl"
    fi
    (
        cd "$project"
        cargo fmt --check
        cargo test --quiet $locked
        cargo build --quiet --release $locked --target wasm32-wasip2
    )
    echo "$template: ok"
done
