//! A task that ends with exit status 3.

use cyte_sdk::prelude::*;

struct Exit3;

impl Task for Exit3 {
    fn run(_args: &[String]) -> Result<(), Error> {
        println!("leaving with 3");
        cyte_sdk::exit(3)
    }
}

cyte_sdk::task!(Exit3);
