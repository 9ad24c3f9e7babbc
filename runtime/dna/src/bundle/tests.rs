//! What is accepted, and above all what is not.

use super::*;
use crate::fixture::{COMPONENT, NOW, bundle, draft, germline, host, key, manifest, shop};
use crate::limits::REMEMBERED_DNA;
use crate::{Descent, Gene, Revoked, Role, SigningKey};

fn first() -> Manifest {
    manifest(Descent::first(germline(&[1], 1)))
}

fn after(old: &Manifest) -> Manifest {
    manifest(Descent::after(old, digest(old)))
}

fn digest(manifest: &Manifest) -> Digest {
    Digest::of(&manifest.encode().unwrap())
}

fn offer(known: &Known, bytes: &[u8]) -> Result<Dna, DnaError> {
    open(bytes, known, NOW, Purpose::Deploy).map(|(dna, _)| dna)
}

/// The host after it has accepted these, in order.
fn grown(mut known: Known, bundles: &[&[u8]]) -> Known {
    for bytes in bundles {
        let dna = offer(&known, bytes).unwrap();
        known.accept(&dna, NOW);
    }
    known
}

fn code(result: Result<Dna, DnaError>) -> &'static str {
    result.unwrap_err().code()
}

/// A bundle with exactly these manifest bytes, whatever they are.
fn raw(manifest: Vec<u8>, keys: &[u8]) -> Vec<u8> {
    let message = signed_message(&manifest);
    let mut keys: Vec<_> = keys.iter().map(|n| key(*n)).collect();
    keys.sort_by_key(SigningKey::id);
    let signatures =
        keys.iter().map(|key| Signature { key: key.public(), bytes: key.sign(&message) }).collect();
    let mut bytes = Envelope { manifest, signatures }.write();
    bytes.extend_from_slice(&1u32.to_be_bytes());
    bytes.extend_from_slice(Digest::of(COMPONENT).as_bytes());
    bytes.extend_from_slice(&(COMPONENT.len() as u64).to_be_bytes());
    bytes.extend_from_slice(COMPONENT);
    bytes
}

#[test]
fn a_good_bundle_is_accepted() {
    let bytes = bundle(first(), &[1]);
    let (dna, blobs) = open(bytes.as_slice(), &host(), NOW, Purpose::Deploy).unwrap();
    assert_eq!(dna.manifest(), &first());
    assert_eq!(dna.standing(), Standing::First);
    assert_eq!(dna.digest(), digest(&first()));
    assert_eq!(dna.signers(), [key(1).id()]);
    assert_eq!(blobs.values().collect::<Vec<_>>(), [COMPONENT]);
    assert_eq!(bytes, bundle(first(), &[1]), "packing and signing are deterministic");
}

#[test]
fn every_flipped_byte_is_refused() {
    let bytes = bundle(first(), &[1]);
    for at in 0..bytes.len() {
        for flip in [1 << (at % 8), 0xff] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            assert!(offer(&host(), &bad).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = bundle(first(), &[1]);
    for length in 0..bytes.len() {
        let error = offer(&host(), &bytes[..length]).unwrap_err();
        assert_eq!(error.code(), "dna-truncated", "{length}");
    }
}

#[test]
fn appended_bytes_are_refused() {
    let mut bytes = bundle(first(), &[1]);
    bytes.push(0);
    assert_eq!(code(offer(&host(), &bytes)), "dna-trailing-bytes");
    let twice = bundle(first(), &[1]).repeat(2);
    assert_eq!(code(offer(&host(), &twice)), "dna-trailing-bytes");
}

/// Counts what is taken from it, and never ends.
struct Endless<'a>(&'a [u8], usize);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for (to, at) in buffer.iter_mut().zip(self.1..) {
            *to = self.0.get(at).copied().unwrap_or(0);
        }
        self.1 += buffer.len();
        Ok(buffer.len())
    }
}

#[test]
fn a_declared_length_of_2_gib_costs_nothing() {
    let mut head = bundle(first(), &[1])[..14].to_vec();
    for length in [MANIFEST_BYTES as u32 + 1, 1 << 31, u32::MAX] {
        head[10..14].copy_from_slice(&length.to_be_bytes());
        let mut source = Endless(&head, 0);
        let error = DnaBytes::read(&mut source).unwrap_err();
        assert_eq!(error.code(), "dna-too-large");
        assert_eq!(source.1, 14, "nothing was read after the length");
    }
    // A length within its cap costs what is really there.
    head[10..14].copy_from_slice(&(MANIFEST_BYTES as u32).to_be_bytes());
    assert_eq!(DnaBytes::read(head.as_slice()).unwrap_err().code(), "dna-truncated");
    // The same for a blob: its length is what the manifest says, or nothing is read.
    let bytes = bundle(first(), &[1]);
    let at = bytes.len() - COMPONENT.len() - 8;
    let mut bad = bytes.clone();
    bad[at..at + 8].copy_from_slice(&(2u64 << 30).to_be_bytes());
    let mut source = Endless(&bad, 0);
    let (_, mut blobs) = DnaBytes::read(&mut source).unwrap().verify(&host(), NOW, Purpose::Deploy).unwrap();
    assert_eq!(blobs.next().unwrap_err().code(), "dna-unexpected-blob");
    assert_eq!(source.1, at + 8);
}

#[test]
fn seventeen_signatures_are_refused() {
    let mut draft = draft(first());
    for n in 1..=16 {
        draft.sign(&key(n)).unwrap();
    }
    assert!(offer(&host(), &draft.to_bytes()).is_ok());
    assert_eq!(draft.sign(&key(17)).unwrap_err().code(), "dna-too-large");
    let keys: Vec<u8> = (1..=17).collect();
    let bytes = raw(first().encode().unwrap(), &keys);
    assert_eq!(code(offer(&host(), &bytes)), "dna-too-large");
}

#[test]
fn an_unsigned_or_foreign_signed_bundle_is_refused() {
    assert_eq!(code(offer(&host(), &bundle(first(), &[]))), "dna-under-threshold");
    let error = offer(&host(), &bundle(first(), &[2])).unwrap_err();
    assert_eq!(error.code(), "dna-under-threshold");
    assert!(error.is_refusal());
    assert_eq!(error.to_string(), "signed by 0 of the 1 keys that the germline of `shop` demands");
}

#[test]
fn a_key_that_signed_twice_is_refused() {
    let manifest = first().encode().unwrap();
    assert_eq!(code(offer(&host(), &raw(manifest, &[1, 1]))), "dna-signature-order");
    let two = germline(&[1, 2], 2);
    let known = Known::first(two.clone());
    let manifest = manifest_bytes(manifest_of(two));
    assert_eq!(code(offer(&known, &raw(manifest, &[1, 1]))), "dna-signature-order");
}

fn manifest_of(germline: Germline) -> Manifest {
    manifest(Descent::first(germline))
}

fn manifest_bytes(manifest: Manifest) -> Vec<u8> {
    manifest.encode().unwrap()
}

#[test]
fn signatures_in_another_order_are_refused() {
    let known = Known::first(germline(&[1, 2], 1));
    let good = bundle(manifest_of(germline(&[1, 2], 1)), &[1, 2]);
    assert!(offer(&known, &good).is_ok());
    let start = 14 + manifest_bytes(manifest_of(germline(&[1, 2], 1))).len() + 1;
    let mut bad = good.clone();
    bad[start..start + 96].copy_from_slice(&good[start + 96..start + 192]);
    bad[start + 96..start + 192].copy_from_slice(&good[start..start + 96]);
    assert_eq!(code(offer(&known, &bad)), "dna-signature-order");
}

#[test]
fn a_weak_key_in_a_bundle_is_refused() {
    let mut bytes = bundle(first(), &[1]);
    let start = 14 + manifest_bytes(first()).len() + 1;
    bytes[start..start + 32].fill(0);
    assert_eq!(code(offer(&host(), &bytes)), "dna-weak-key");
}

#[test]
fn a_signature_for_another_purpose_is_refused() {
    let manifest = first().encode().unwrap();
    let signature = Signature { key: key(1).public(), bytes: key(1).sign(&manifest) };
    let mut bytes = Envelope { manifest, signatures: vec![signature] }.write();
    bytes.extend_from_slice(&0u32.to_be_bytes());
    assert_eq!(code(offer(&host(), &bytes)), "dna-bad-signature");
}

#[test]
fn m_of_n() {
    let of = |keys: &[u8], signers: &[u8]| {
        let germline = germline(keys, 2);
        offer(&Known::first(germline.clone()), &bundle(manifest_of(germline), signers))
    };
    assert_eq!(code(of(&[1, 2, 3], &[1])), "dna-under-threshold");
    assert_eq!(code(of(&[1, 2, 3], &[1, 4])), "dna-under-threshold");
    assert!(of(&[1, 2, 3], &[1, 3]).is_ok());
    assert!(of(&[1, 2, 3], &[2, 3]).is_ok());
    assert!(of(&[1, 2, 3], &[1, 2, 3, 4]).is_ok(), "a signature too many does no harm");
}

#[test]
fn signing_goes_on_where_another_person_stopped() {
    let two = germline(&[1, 2], 2);
    let half = bundle(manifest_of(two.clone()), &[2]);
    let mut draft = Draft::from_bytes(&half).unwrap();
    assert_eq!(draft.demand_signed().unwrap_err().code(), "dna-under-threshold");
    draft.sign(&key(1)).unwrap();
    draft.sign(&key(1)).unwrap();
    draft.demand_signed().unwrap();
    assert_eq!(draft.to_bytes(), bundle(manifest_of(two.clone()), &[1, 2]));
    assert!(offer(&Known::first(two), &draft.to_bytes()).is_ok());
}

#[test]
fn an_overlong_number_is_refused_although_signed() {
    let good = first().encode().unwrap();
    // organism: one length byte and "shop"; then the version, 1, written in two bytes.
    assert_eq!(good[..6], *b"\x04shop\x01");
    let mut bad = good.clone();
    bad.splice(5..6, [0x81, 0x00]);
    assert_eq!(code(offer(&host(), &raw(bad, &[1]))), "dna-not-canonical");
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(code(offer(&host(), &raw(longer, &[1]))), "dna-not-canonical");
    assert_eq!(code(offer(&host(), &raw(good[..20].to_vec(), &[1]))), "dna-undecodable");
    assert!(offer(&host(), &raw(good, &[1])).is_ok());
}

#[test]
fn rules_of_a_manifest_hold_for_signed_ones_too() {
    let mut twice = first();
    twice.genes.push(twice.genes[0].clone());
    let bytes = postcard::to_allocvec(&twice).unwrap();
    assert_eq!(code(offer(&host(), &raw(bytes, &[1]))), "manifest-duplicate-gene");
}

#[test]
fn hostile_gene_names_are_refused_although_signed() {
    let good = first().encode().unwrap();
    let at = good.windows(6).position(|window| window == b"\x05front").unwrap();
    let named = |name: &[u8]| {
        let mut bytes = good.clone();
        bytes.splice(at..at + 6, [&[name.len() as u8], name].concat());
        offer(&host(), &raw(bytes, &[1])).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(named(b"other"), Ok(()));
    assert_eq!(named(&[b'a'; 63]), Ok(()));
    let long = [b'a'; 64];
    for name in [b"".as_slice(), b"..", b"../ab", b"a/b", b"/", b"a\0b", b"A", b"\xff", &long] {
        assert_eq!(named(name), Err("dna-undecodable"), "{name:?}");
    }
}

#[test]
fn a_host_remembers_a_bounded_past() {
    let mut known = host();
    let mut manifest = first();
    let mut trusted = 1;
    for turn in 0..REMEMBERED_DNA as u8 + 3 {
        let next = 1 + turn % 2;
        manifest.germline = germline(&[next], 1);
        let mut signers = vec![trusted, next];
        signers.dedup();
        let dna = offer(&known, &bundle(manifest.clone(), &signers)).unwrap();
        known.accept(&dna, NOW);
        trusted = next;
        manifest = after(&manifest);
    }
    assert_eq!((known.accepted.len(), known.former.len()), (REMEMBERED_DNA, REMEMBERED_DNA));
    assert_eq!(known.accepted.last().copied(), known.highest);
}

/// A manifest with two genes, and its two blobs in ascending order.
fn two_genes() -> (Manifest, Vec<(Digest, Vec<u8>)>) {
    let mut manifest = first();
    let other = b"another component".to_vec();
    manifest.genes.push(Gene::new("other".parse().unwrap(), Role::Drone, Blob::of(&other)));
    let mut blobs = vec![(Digest::of(COMPONENT), COMPONENT.to_vec()), (Digest::of(&other), other)];
    blobs.sort();
    (manifest, blobs)
}

fn with_blobs(manifest: &Manifest, blobs: &[(Digest, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = raw(manifest.encode().unwrap(), &[1]);
    bytes.truncate(bytes.len() - COMPONENT.len() - 44);
    bytes.extend_from_slice(&(blobs.len() as u32).to_be_bytes());
    for (digest, content) in blobs {
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    }
    bytes
}

#[test]
fn swapped_changed_repeated_and_foreign_blobs_are_refused() {
    let (manifest, blobs) = two_genes();
    let [one, two] = [blobs[0].clone(), blobs[1].clone()];
    let code_of = |blobs: &[_]| code(offer(&host(), &with_blobs(&manifest, blobs)));
    assert!(offer(&host(), &with_blobs(&manifest, &blobs)).is_ok());
    assert_eq!(code_of(&[two.clone(), one.clone()]), "dna-blob-order");
    assert_eq!(code_of(&[one.clone(), one.clone()]), "dna-blob-order");
    let mut changed = one.1.clone();
    changed[0] ^= 1;
    assert_eq!(code_of(&[(one.0, changed), two.clone()]), "dna-blob-changed");
    assert_eq!(code_of(&[(one.0, two.1.clone()), (two.0, one.1.clone())]), "dna-unexpected-blob");
    let foreign = (Digest::from_bytes([0xff; 32]), b"foreign".to_vec());
    assert_eq!(code_of(&[one.clone(), foreign.clone()]), "dna-unexpected-blob");
    assert_eq!(code_of(&[one.clone(), two, foreign]), "dna-too-large");
    assert_eq!(code_of(&[one]), "dna-missing-blob");
}

#[test]
fn blobs_at_hand_need_not_be_in_the_bundle() {
    let (manifest, blobs) = two_genes();
    let bytes = with_blobs(&manifest, &blobs[..1]);
    let read = DnaBytes::read(bytes.as_slice()).unwrap();
    let (dna, mut rest) = read.verify(&host(), NOW, Purpose::Deploy).unwrap();
    assert_eq!(rest.read_all().unwrap().len(), 1);
    assert_eq!(rest.missing().iter().map(|blob| blob.sha256).collect::<Vec<_>>(), [blobs[1].0]);
    assert!(rest.demand_all(&dna, |_| false).is_err());
    rest.demand_all(&dna, |digest| *digest == blobs[1].0).unwrap();
    let thin = dna.to_thin_bundle();
    let (again, mut none) =
        DnaBytes::read(thin.as_slice()).unwrap().verify(&host(), NOW, Purpose::Deploy).unwrap();
    assert_eq!(again.digest(), dna.digest());
    assert!(none.next().unwrap().is_none() && none.next().unwrap().is_none());
    assert_eq!(none.missing().len(), 2);
}

#[test]
fn rollback_and_a_second_dna_of_one_version_are_refused() {
    let one = first();
    let two = after(&one);
    let three = after(&two);
    let [b1, b2, b3] = [&one, &two, &three].map(|m| bundle(m.clone(), &[1]));
    let known = grown(host(), &[&b1, &b2, &b3]);
    assert_eq!(code(offer(&known, &b1)), "dna-rollback");
    assert_eq!(code(offer(&known, &b2)), "dna-rollback");
    assert_eq!(offer(&known, &b3).unwrap().standing(), Standing::InForce);
    let mut other = three.clone();
    other.label = "other".into();
    assert_eq!(code(offer(&known, &bundle(other, &[1]))), "dna-same-version");
    assert!(offer(&known, &bundle(first(), &[1])).unwrap_err().is_refusal());
}

#[test]
fn lineage() {
    let one = first();
    let two = after(&one);
    let known = grown(host(), &[&bundle(one.clone(), &[1]), &bundle(two.clone(), &[1])]);
    let next = after(&two);
    let try_parent = |version, parent| {
        let mut manifest = next.clone();
        manifest.version = version;
        manifest.lineage.parent = parent;
        offer(&known, &bundle(manifest, &[1])).map(|dna| dna.standing())
    };
    let foreign = Some(Digest::of(b"foreign"));
    assert_eq!(try_parent(3, Some(digest(&two))), Ok(Standing::Newer));
    assert_eq!(try_parent(9, Some(digest(&two))), Ok(Standing::Newer));
    assert_eq!(try_parent(9, foreign), Ok(Standing::Newer), "versions between were not offered here");
    for (version, parent) in
        [(3, None), (9, None), (3, foreign), (3, Some(digest(&one))), (9, Some(digest(&one)))]
    {
        assert_eq!(
            try_parent(version, parent).unwrap_err().code(),
            "dna-lineage-break",
            "{version} {parent:?}"
        );
    }
    let mut other = next.clone();
    other.lineage.germline = Digest::of(b"other germline");
    assert_eq!(code(offer(&known, &bundle(other.clone(), &[1]))), "dna-lineage-break");
    other.version = 1;
    other.lineage.parent = None;
    other.lineage.germline = germline(&[2], 1).digest();
    let fresh = offer(&host(), &bundle(other, &[1])).unwrap();
    assert_eq!(fresh.standing(), Standing::First, "the last step of a rotation, seen first");
}

#[test]
fn dna_of_another_organism_is_refused() {
    let farm = Germline::single("farm".parse().unwrap(), key(1).public());
    let bytes = bundle(manifest(Descent::first(farm)), &[1]);
    let error = offer(&host(), &bytes).unwrap_err();
    assert_eq!(error.code(), "dna-other-organism");
    assert_eq!(error.to_string(), "this is DNA of organism `farm`, and this host lives for `shop`");
}

fn at(unix_s: u64, synchronised: bool) -> Clock {
    Clock { unix_s, synchronised }
}

#[test]
fn expired_and_not_yet_valid_dna_is_refused() {
    let mut timed = first();
    timed.not_before = 1_000;
    timed.expires = Some(2_000);
    let bytes = bundle(timed, &[1]);
    let offer_at =
        |clock| open(bytes.as_slice(), &host(), clock, Purpose::Deploy).map(|_| ()).map_err(|e| e.code());
    assert_eq!(offer_at(at(999, true)), Err("dna-not-yet-valid"));
    assert_eq!(offer_at(at(1_000, true)), Ok(()));
    assert_eq!(offer_at(at(1_999, true)), Ok(()));
    assert_eq!(offer_at(at(2_000, true)), Err("dna-expired"));
    assert_eq!(offer_at(at(2_000, false)), Err("dna-expired"));
    assert_eq!(offer_at(at(0, false)), Ok(()), "a lost clock is not held against new DNA");
}

#[test]
fn the_time_floor_outlives_a_lost_clock() {
    let mut one = first();
    one.not_before = 5_000;
    let mut known = grown(host(), &[&bundle(one.clone(), &[1])]);
    known.time_floor = 5_000;
    let mut two = after(&one);
    two.expires = Some(4_000);
    let bytes = bundle(two, &[1]);
    let result = open(bytes.as_slice(), &known, at(0, false), Purpose::Deploy);
    assert_eq!(result.unwrap_err().code(), "dna-expired");
}

#[test]
fn only_signed_times_and_a_synchronised_clock_raise_the_time_floor() {
    let mut one = first();
    one.not_before = 5_000;
    let bytes = bundle(one, &[1]);
    let floor_after = |clock| {
        let (dna, _) = open(bytes.as_slice(), &host(), clock, Purpose::Deploy).unwrap();
        let mut known = host();
        known.accept(&dna, clock);
        known.time_floor
    };
    assert_eq!(floor_after(at(9_000, true)), 9_000);
    assert_eq!(floor_after(at(9_000, false)), 5_000);
}

#[test]
fn expiry_does_not_stop_the_dna_in_force_from_growing_again() {
    let mut one = first();
    one.expires = Some(NOW.unix_s + 1);
    let bytes = bundle(one, &[1]);
    let known = grown(host(), &[&bytes]);
    let later = at(NOW.unix_s + 10, true);
    let (dna, _) = open(bytes.as_slice(), &known, later, Purpose::Deploy).unwrap();
    assert_eq!(dna.standing(), Standing::InForce);
    assert_eq!(open(bytes.as_slice(), &host(), later, Purpose::Deploy).unwrap_err().code(), "dna-expired");
}

#[test]
fn a_host_may_return_to_what_it_accepted_and_no_further_than_the_floor() {
    let one = first();
    let two = after(&one);
    let mut three = after(&two);
    three.floor = 2;
    let never = {
        let mut m = two.clone();
        m.label = "never".into();
        m
    };
    let [b1, b2, b3, bn] = [one, two, three.clone(), never].map(|m| bundle(m, &[1]));
    let mut known = grown(host(), &[&b1, &b2, &b3]);
    let back = |known: &Known, bytes: &[u8]| open(bytes, known, NOW, Purpose::Return).map(|(dna, _)| dna);
    assert_eq!(code(back(&known, &b1)), "dna-below-floor");
    assert_eq!(code(back(&known, &bn)), "dna-never-accepted");
    let old = back(&known, &b2).unwrap();
    assert_eq!(old.standing(), Standing::Returned);
    known.accept(&old, NOW);
    assert_eq!(known.current, Some(old.digest()));
    assert_eq!(known.highest.unwrap().version, 3, "the highest version stays remembered");
    assert_eq!(known.floor, 2);
    assert_eq!(offer(&known, &b2).unwrap().standing(), Standing::InForce);
    assert_eq!(offer(&known, &b3).unwrap().standing(), Standing::Returned);
    assert_eq!(offer(&known, &bundle(after(&three), &[1])).unwrap().standing(), Standing::Newer);
}

/// `old` handed over to the germline of these keys.
fn rotated(old: &Manifest, to: Germline) -> Manifest {
    let mut manifest = after(old);
    manifest.germline = to;
    manifest
}

#[test]
fn rotation_needs_the_old_threshold_and_the_new_one() {
    let one = manifest_of(germline(&[1, 2], 2));
    let known = grown(Known::first(germline(&[1, 2], 2)), &[&bundle(one.clone(), &[1, 2])]);
    let to = rotated(&one, germline(&[3, 4], 2));
    for signers in [&[3, 4][..], &[1, 3, 4], &[1, 2], &[1, 2, 3]] {
        assert_eq!(code(offer(&known, &bundle(to.clone(), signers))), "dna-under-threshold", "{signers:?}");
    }
    let bytes = bundle(to.clone(), &[1, 2, 3, 4]);
    let known = grown(known, &[&bytes]);
    assert_eq!(known.germline, germline(&[3, 4], 2));
    assert_eq!(offer(&known, &bytes).unwrap().standing(), Standing::InForce);
    let next = after(&to);
    assert_eq!(code(offer(&known, &bundle(next.clone(), &[1, 2]))), "dna-under-threshold");
    assert!(offer(&known, &bundle(next, &[3, 4])).is_ok());
    // What the old germline signed and the host accepted stays within reach.
    let old = bundle(one, &[1, 2]);
    assert!(open(old.as_slice(), &known, NOW, Purpose::Return).is_ok());
    let mut fake = manifest_of(germline(&[1, 2], 2));
    fake.label = "fake".into();
    let fake = bundle(fake, &[1, 2]);
    assert_eq!(
        open(fake.as_slice(), &known, NOW, Purpose::Return).unwrap_err().code(),
        "dna-under-threshold"
    );
}

#[test]
fn a_revoked_key_no_longer_counts() {
    let all = germline(&[1, 2, 3], 2);
    let one = manifest_of(all.clone());
    let mut two = after(&one);
    two.revoked = Revoked { keys: vec![key(1).id()], genes: vec![] };
    let known = Known::first(all);
    let known = grown(known, &[&bundle(one.clone(), &[1, 2])]);
    assert_eq!(code(offer(&known, &bundle(two.clone(), &[1, 2]))), "dna-under-threshold", "not even here");
    let bytes = bundle(two.clone(), &[2, 3]);
    let known = grown(known, &[&bytes]);
    assert!(offer(&known, &bytes).is_ok(), "it can be grown again");
    let three = after(&two);
    assert_eq!(code(offer(&known, &bundle(three.clone(), &[1, 2]))), "dna-under-threshold");
    assert!(offer(&known, &bundle(three, &[2, 3])).is_ok());
    let old = bundle(one, &[1, 2]);
    let back = open(old.as_slice(), &known, NOW, Purpose::Return);
    assert_eq!(back.unwrap_err().code(), "dna-under-threshold", "nor for what it signed before");
}

#[test]
fn a_lost_key_is_replaced_and_revoked_in_one_step() {
    let one = first();
    let known = grown(host(), &[&bundle(one.clone(), &[1])]);
    let mut two = rotated(&one, germline(&[2], 1));
    two.revoked.keys = vec![key(1).id()];
    let bytes = bundle(two.clone(), &[1, 2]);
    let known = grown(known, &[&bytes]);
    assert_eq!(offer(&known, &bytes).unwrap().standing(), Standing::InForce);
    assert!(offer(&known, &bundle(after(&two), &[2])).is_ok());
    assert_eq!(code(offer(&known, &bundle(after(&two), &[1]))), "dna-under-threshold");
}

#[test]
fn a_revoked_gene_is_refused() {
    let one = first();
    let mut two = after(&one);
    let bad = two.genes[0].component.sha256;
    let fixed = b"a fixed component";
    two.genes[0].component = Blob::of(fixed);
    two.revoked.genes = vec![bad];
    let blobs = BTreeMap::from([(Digest::of(fixed), fixed.to_vec())]);
    let bytes = Draft::new(two.clone(), blobs).unwrap().sign_all([&key(1)]).unwrap();
    let old = bundle(one, &[1]);
    let known = grown(host(), &[&old, &bytes]);
    let mut three = after(&two);
    three.revoked = Revoked::default();
    assert_eq!(code(offer(&known, &bundle(three, &[1]))), "dna-revoked-gene");
    assert_eq!(open(old.as_slice(), &known, NOW, Purpose::Return).unwrap_err().code(), "dna-revoked-gene");
}

#[test]
fn an_introduction_shows_whom_to_trust_and_needs_good_signatures() {
    let two = germline(&[1, 2], 2);
    let introduce = |signers: &[u8]| {
        let bytes = bundle(manifest_of(germline(&[1, 2], 2)), signers);
        DnaBytes::read(bytes.as_slice()).unwrap().introduce()
    };
    let shown = introduce(&[1, 2]).unwrap();
    assert_eq!((shown.organism, shown.germline, shown.version), (shop(), two, 1));
    assert_eq!(introduce(&[1]).unwrap_err().code(), "dna-under-threshold");
    assert_eq!(introduce(&[]).unwrap_err().code(), "dna-under-threshold");
}

#[test]
fn what_is_no_bundle_or_of_another_format_is_named() {
    assert_eq!(code(offer(&host(), b"\0asm\x0d\0\x01\0 a component")), "dna-not-dna");
    let mut newer = bundle(first(), &[1]);
    newer[9] = 2;
    assert_eq!(code(offer(&host(), &newer)), "dna-unknown-format");
    assert!(!offer(&host(), &newer).unwrap_err().is_refusal());
}

#[test]
fn what_a_host_knows_survives_storage() {
    let mut two = rotated(&first(), germline(&[2, 3], 2));
    two.revoked.keys = vec![key(1).id()];
    let known = grown(host(), &[&bundle(first(), &[1]), &bundle(two, &[1, 2, 3])]);
    let json = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<Known>(&json).unwrap(), known);
    let bytes = postcard::to_allocvec(&known).unwrap();
    assert_eq!(postcard::from_bytes::<Known>(&bytes).unwrap(), known);
}

#[test]
fn a_reader_that_fails_is_not_taken_for_a_short_file() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let bytes = bundle(first(), &[1]);
    for length in [0, 9, 12, 100] {
        let error = DnaBytes::read(bytes[..length].chain(Broken)).unwrap_err();
        assert_eq!(error, DnaError::Read("the disk is gone".into()));
    }
}
