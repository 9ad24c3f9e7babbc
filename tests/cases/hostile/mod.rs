//! Guests and clients that mean harm, or have gone wrong.
