/** The version of this software, as `opened` records state it. A test holds it to package.json. */
export const version = "0.1.0";
