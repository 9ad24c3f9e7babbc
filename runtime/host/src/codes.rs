//! Every way a verb can end badly: a stable code, an exit status and an explanation.
//!
//! One table, so that `cyte explain`, the exit status and the documentation cannot disagree.

/// A kind of failure. The number never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A flag or argument does not make sense.
    Usage,
    /// A file or folder is not there or cannot be read.
    Missing,
    /// A file or folder cannot be written.
    Write,
    /// `dna.toml` has a fault.
    Manifest,
    /// A gene does not build.
    Build,
    /// The compiler cannot make WebAssembly.
    Toolchain,
    /// A component cannot live here.
    Component,
    /// Two genes want the same route.
    Routes,
    /// A project cannot be made.
    New,
    /// A bundle is damaged or not a bundle.
    Bundle,
    /// A signature or a policy refuses a DNA.
    Refused,
    /// Nobody has said yet whom this state folder trusts.
    FirstTrust,
    /// A DNA is older than what was accepted before.
    Rollback,
    /// A DNA is outside its time.
    Expired,
    /// A DNA does not descend from what was accepted before.
    Lineage,
    /// A key or a gene was revoked.
    Revoked,
    /// A key file cannot be used.
    Key,
    /// Another process holds the state folder.
    StateBusy,
    /// The state folder is of a newer version.
    StateNewer,
    /// The state folder is damaged or cannot be used.
    State,
    /// The address cannot be listened on.
    Listen,
    /// No running host was found.
    NoHost,
    /// More than one running host was found.
    ManyHosts,
    /// The control socket did not answer as it should.
    Control,
    /// The host does not know the thing that was asked for.
    Unknown,
    /// A gene could not be made ready to run.
    Prepare,
    /// A task did not end in time.
    TimeLimit,
    /// A task failed.
    Task,
    /// A second signal ended the drain.
    Interrupted,
    /// A secret cannot be used.
    Secret,
    /// A wish is not well formed, or cannot be kept.
    Wish,
    /// A wish asks for more than the DNA allows.
    Envelope,
    /// A bound of the gene or of the host stands against it.
    Bounds,
    /// A limit cannot be set so.
    Limit,
    /// A measurement could not be made.
    Bench,
    /// A scenario has a fault.
    Scenario,
    /// A recording cannot be replayed.
    Recording,
    /// The machine refused something that should have worked.
    Machine,
}

/// One row of the table.
struct Row {
    code: Code,
    id: &'static str,
    exit: u8,
    text: &'static str,
}

const fn row(code: Code, id: &'static str, exit: u8, text: &'static str) -> Row {
    Row { code, id, exit, text }
}

static TABLE: &[Row] = &[
    row(
        Code::Usage,
        "E001",
        2,
        "The command line does not make sense.\n\nAsk for the verb's own help, for example `cyte run --help`: it lists every flag and has an\nexample.",
    ),
    row(
        Code::Missing,
        "E002",
        1,
        "A file or folder that the command needs is not there, or this user may not read it.\n\nThe message names it. `-C DIR` changes the folder that relative paths start from.",
    ),
    row(
        Code::Write,
        "E003",
        1,
        "A file or folder could not be written.\n\nNothing half-written is left behind: files are written beside their place, synced and renamed.\nLook at free space and permissions of the named folder.",
    ),
    row(
        Code::Manifest,
        "E101",
        1,
        "`dna.toml` has a fault: the message shows the line.\n\nKeys that nobody reads are faults too, so that a misspelt grant or limit cannot be overlooked.\n`cyte check` looks at the file without building anything.",
    ),
    row(
        Code::Build,
        "E102",
        1,
        "A gene does not build. The compiler's own words are above the message.\n\nBuild it alone with `cyte build`; a gene's tests run natively with `cargo test` in its folder.",
    ),
    row(
        Code::Toolchain,
        "E103",
        1,
        "No standard library for WebAssembly was found.\n\nEither `rustup target add wasm32-wasip2`, or Debian's packages:\n`apt-get install --no-install-recommends rustc-web rust-web-src rust-web-llvm lld-22 wasi-libc`.",
    ),
    row(
        Code::Component,
        "E104",
        1,
        "A component cannot live on this host: it is not WebAssembly, has no export that makes it a\ndrone, a task or a neuron, or imports something that its grants do not cover.\n\n`cyte inspect FILE.wasm` shows what it exports and asks for.",
    ),
    row(
        Code::Routes,
        "E105",
        1,
        "Two genes want the same host name and path. A request must have one answer, so this is refused\nbefore anything is served. Give one of them another `route` in `dna.toml`.",
    ),
    row(
        Code::New,
        "E106",
        1,
        "A project could not be made. An existing folder is never overwritten.\n\n`cyte new --list` shows the templates.",
    ),
    row(
        Code::Bundle,
        "E107",
        1,
        "The file is not a DNA bundle, or it is damaged: cut short, changed, or with something appended.\n\nNothing in it was used. Fetch it again, or pack it again with `cyte dna pack`.",
    ),
    row(
        Code::Refused,
        "E201",
        4,
        "A signature or a policy refuses this DNA. The state folder trusts one germline, and what that\ngermline did not sign never runs here.\n\n`cyte dna inspect FILE` shows who signed. To run it under another germline, use another state\nfolder: `--state DIR`.",
    ),
    row(
        Code::FirstTrust,
        "E202",
        4,
        "This state folder trusts nobody yet, and the bundle cannot vouch for itself.\n\nGive the germline file that its owner handed you (`--germline FILE`), or compare the key id\nthat was printed with the one its owner tells you and say `--yes`. The answer is kept.",
    ),
    row(
        Code::Rollback,
        "E203",
        4,
        "The DNA's version is not above the one that this host accepted before, so it may be an old one\nwith a known hole, played back.\n\nGoing back on purpose is a new version with the old content:\n`cyte dna pack DIR --after NEWEST.dna --out X.dna`. Without a key at hand, `cyte run X.dna --return`\ngoes back to one that this host accepted before and that the newest DNA does not rule out.",
    ),
    row(
        Code::Expired,
        "E204",
        4,
        "The DNA is outside the time that its signers gave it. What runs already goes on; new DNA is not\naccepted. Sign a new version with a later end.",
    ),
    row(
        Code::Lineage,
        "E205",
        4,
        "The DNA does not descend from the one that this host accepted before.\n\nPack it with `--after NEWEST.dna`, so that it names its parent.",
    ),
    row(
        Code::Revoked,
        "E206",
        4,
        "The DNA uses a key or a gene that was revoked. Sign with a key that is still in the germline,\nor build the gene anew.",
    ),
    row(
        Code::Key,
        "E207",
        1,
        "A key file cannot be used: it is not there, not a key, or other users may read it.\n\nPrivate keys must have mode 0600. `cyte dna keygen --out FILE` makes one.",
    ),
    row(
        Code::StateBusy,
        "E301",
        1,
        "Another process holds this state folder; two hosts on one folder would damage it.\n\nThe message names the process. Stop it, or give this one a folder of its own: `--state DIR`.",
    ),
    row(
        Code::StateNewer,
        "E302",
        1,
        "The state folder was written by a newer cyte. This one would not understand all of it, so it\ntouches nothing. Run the newer binary, or use another folder: `--state DIR`.",
    ),
    row(
        Code::State,
        "E303",
        1,
        "The state folder is damaged or not usable by this user.\n\nIt must belong to the user who runs the host, with mode 0700.",
    ),
    row(
        Code::Listen,
        "E304",
        1,
        "The address cannot be listened on: another process has the port, or this user may not use it.\n\n`--listen 127.0.0.1:0` takes a free port.",
    ),
    row(
        Code::NoHost,
        "E305",
        1,
        "No running host was found: not under `--state`, not under CYTE_STATE, not in the nearest\nproject, and no other of this user. Start one with `cyte run`.",
    ),
    row(
        Code::ManyHosts,
        "E306",
        1,
        "More than one host of this user runs, and nothing says which one is meant. Name its state\nfolder: `--state DIR`.",
    ),
    row(
        Code::Control,
        "E307",
        1,
        "The host's control socket did not answer as it should. The host may just be going away; ask\nagain, and look at its log.",
    ),
    row(
        Code::Unknown,
        "E308",
        1,
        "The host does not know a cell or gene of that name. `cyte ps` lists them.",
    ),
    row(
        Code::Prepare,
        "E309",
        1,
        "A gene could not be made ready: it does not compile within its caps, or does not link; or\n`--loader cached` was asked for and this host never compiled it: run it once without.\n\n`cyte inspect FILE.wasm` shows what it asks for; `cyte limits` shows the caps.",
    ),
    row(
        Code::TimeLimit,
        "E401",
        124,
        "The task did not end within its time. `--timeout` or the gene's `limits` set it.",
    ),
    row(
        Code::Task,
        "E402",
        1,
        "The task trapped or could not be started. `--task` runs components that export wasi:cli/run.",
    ),
    row(
        Code::Interrupted,
        "E403",
        130,
        "A signal ended the process before its work was done. The first one drains, the second ends at\nonce.",
    ),
    row(
        Code::Secret,
        "E404",
        1,
        "A secret cannot be used: it is not set, too long, or was sealed by another host's key.\n\nSet it with `cyte secret set NAME`.",
    ),
    row(
        Code::Bench,
        "E405",
        1,
        "The measurement could not be made. The message says which reference is missing.",
    ),
    row(
        Code::Wish,
        "E406",
        1,
        "A wish is not well formed, or there is none to delete.\n\n`cyte apply` takes one table a gene, for example\n\n  [gene.front]\n  count = \"2..8\"\n\nEither all wishes of a file are taken or none.",
    ),
    row(
        Code::Envelope,
        "E407",
        4,
        "A wish asks for more than the DNA in force allows.\n\nThe DNA is the envelope: `express` in `dna.toml` bounds how many cells an operator may ask for.\n`cyte get GENE` shows what is allowed; to allow more, change the DNA and run it.",
    ),
    row(
        Code::Bounds,
        "E310",
        1,
        "One cell more or less is not possible now: the gene has as many cells as it may have, or the\nhost has no room for one more.\n\n`cyte get GENE` shows the gene's range and `cyte limits` what the host may have; a wish inside what\nthe DNA allows raises the range: `cyte apply`.",
    ),
    row(
        Code::Scenario,
        "E408",
        1,
        "A scenario of `cyte sim` has a fault: the message shows the line.\n\nKeys that nobody reads and values out of range are faults. examples/scenarios has one file for\neach kind of load; copy the nearest.",
    ),
    row(
        Code::Recording,
        "E409",
        1,
        "A recording cannot be replayed: it is damaged, cut short, of a newer cyte, or something else.\n\nNothing of it was used. `cyte record --out FILE` makes one of a running host; a host keeps those of\nits last incidents in the folder `incidents` of its state folder. A recording replays on the version\nof cyte that made it, which the message names.",
    ),
    row(
        Code::Limit,
        "E410",
        1,
        "A limit cannot be set so: there is none of that name that changes while a host serves, or the\nvalue lies outside its bounds. The machine and the DNA in force are the bounds.\n\n`cyte limits` lists names, bounds and what is in force; `cyte limits unset NAME` goes back.",
    ),
    row(
        Code::Machine,
        "E501",
        1,
        "The machine refused something that should have worked: memory, threads, or a system call.\n\nThe message has its words. `cyte limits` shows what this host counts on.",
    ),
];

impl Code {
    /// Every code with its explanation, in order of the codes.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
        TABLE.iter().map(|row| (row.code, row.text))
    }

    /// The code that `id` names, for example `E301`; letters in any case.
    pub fn parse(id: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.id.eq_ignore_ascii_case(id)).map(|row| row.code)
    }

    /// The stable name, for example `E301`.
    pub fn id(self) -> &'static str {
        self.row().map_or("E000", |row| row.id)
    }

    /// The exit status of a verb that ends this way.
    pub fn exit(self) -> u8 {
        self.row().map_or(1, |row| row.exit)
    }

    /// What it means and what helps, in a few lines.
    pub fn explanation(self) -> &'static str {
        self.row().map_or("", |row| row.text)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.code == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_id_and_no_id_repeats() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, text) in Code::all() {
            assert!(seen.insert(code.id()), "{} twice", code.id());
            assert_eq!(Code::parse(&code.id().to_lowercase()), Some(code));
            assert!(!text.is_empty());
        }
        assert_eq!(Code::Machine.id(), "E501", "the last variant has a row");
        assert_eq!(Code::parse("E999"), None);
    }

    #[test]
    fn exit_statuses_are_those_of_the_conventions() {
        assert_eq!(Code::Usage.exit(), 2);
        for code in [Code::Refused, Code::FirstTrust, Code::Rollback, Code::Expired, Code::Envelope] {
            assert_eq!(code.exit(), 4);
        }
        assert_eq!(Code::TimeLimit.exit(), 124);
        assert_eq!(Code::Interrupted.exit(), 130);
    }
}
