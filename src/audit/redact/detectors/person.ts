/** Dates of birth and medical record numbers: nothing but a word tells them from other numbers. */
import { mask } from "../actions.ts";
import { HIDDEN, PERSON_WORD } from "../candidates.ts";
import { blank, forEachMatch, matchAll, type Detector, type Hit, type Place } from "../detector.ts";

const BIRTH_WORD =
  /(?<![a-z])(?:d\.?o\.?b\.?|born|birth(?:[ _-]?da(?:te|y))?|(?:date|day)[ _-]?of[ _-]?birth)(?![a-z])/gi;
const BIRTH_KEY = /(?:^|_)(?:dob|d_o_b|born|birth(?:date|day|_date|_day)?|date_of_birth)(?:_|$)/;
const MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\\.?";
const YEAR = "(?:18|19|20)\\d{2}";
const DAY = "(?:0?[1-9]|[12]\\d|3[01])";
const ORDINAL = "(?:st|nd|rd|th)?";
const DATES: readonly string[] = [
  `${YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.]${DAY}`,
  `${DAY}[-/. ]${DAY}[-/. ](?:${YEAR}|\\d{2})`,
  `${DAY}${ORDINAL}[ .-]{1,2}(?:of )?${MONTH},?[ -]{1,2}${YEAR}`,
  `${MONTH}[ -]{1,2}${DAY}${ORDINAL},?[ -]{1,2}${YEAR}`,
];
const DATE = new RegExp(`(?<![0-9])(?:${DATES.join("|")})(?![0-9])`, "i");
const EVERY_DATE = new RegExp(DATE, "gi");
const COMPACT_DATE = new RegExp(`^${YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01])$`);

/** A date within this many characters after the word belongs to it. */
const reachChars = 48;

function findBirthDates(text: string, place: Place): Hit[] {
  if (BIRTH_KEY.test(place.key)) {
    if (COMPACT_DATE.test(text)) return [{ start: 0, end: text.length }];
    return matchAll(EVERY_DATE, text);
  }
  const hits: Hit[] = [];
  forEachMatch(BIRTH_WORD, text, ({ index, 0: word }) => {
    const from = index + word.length;
    // A date that was masked before is the one that belongs to the word.
    const [reach] = text.slice(from, from + reachChars).split(blank, 1);
    const date = DATE.exec(reach!);
    if (date === null) return;
    const start = from + date.index;
    hits.push({ start, end: start + date[0].length });
  });
  return hits;
}

export const dateOfBirth: Detector = {
  id: "date_of_birth",
  class: "date_of_birth",
  trigger: PERSON_WORD | HIDDEN,
  matcher: findBirthDates,
  actions: mask,
};

const RECORD_WORD =
  /(?<![a-z])(?:mrn|medical[ _-]?records?(?:[ _-]?(?:numbers?|num|no|id))?)(?![a-z])/gi;
const RECORD_KEY = /(?:^|_)(?:mrns?|medical_record(?:_number|_no|_id)?)(?:_|$)/;
const AFTER_WORD =
  /^[^A-Za-z0-9]{0,8}(?:(?:is|no|number|num|id)[^A-Za-z0-9]{1,4})?([A-Z]{0,4}-?\d{4,12}[A-Z]?)(?![A-Za-z0-9])/;
const WHOLE = /^\s*(?:mrn[-:# _]{0,3})?([A-Za-z]{0,4}-?\d{4,12}[A-Za-z]?)\s*$/i;

/** The number alone: the word stays, so that the text still says what was there. */
function findRecordNumbers(text: string, place: Place): Hit[] {
  const whole = RECORD_KEY.test(place.key) ? WHOLE.exec(text.slice(0, 64)) : null;
  if (whole !== null && text.length <= 64) {
    const start = whole[0].lastIndexOf(whole[1]!);
    return [{ start, end: start + whole[1]!.length }];
  }
  const hits: Hit[] = [];
  forEachMatch(RECORD_WORD, text, ({ index, 0: word }) => {
    const from = index + word.length;
    const number = AFTER_WORD.exec(text.slice(from, from + 40));
    if (number === null) return;
    const end = from + number[0].length;
    hits.push({ start: end - number[1]!.length, end });
  });
  return hits;
}

export const mrn: Detector = {
  id: "mrn",
  class: "mrn",
  trigger: PERSON_WORD | HIDDEN,
  matcher: findRecordNumbers,
  normalize: (value) =>
    value
      .toUpperCase()
      .replace(/[^A-Z0-9]/g, "")
      .replace(/^MRN/, ""),
  actions: mask,
};
