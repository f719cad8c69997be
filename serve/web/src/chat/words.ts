/** The words of answers: parts with regions between them, and what a model writes while it still writes. */

/** Cut words at their regions: "2 ships: [1] [2]" is "2 ships: ", 1, " ", 2. */
export function splitWords(words: string, regions: number): (string | number)[] {
  return words.split(/(\[\d+\])/).flatMap((part): (string | number)[] => {
    const number = /^\[(\d+)\]$/.exec(part)?.[1]
    if (number && Number(number) >= 1 && Number(number) <= regions) return [Number(number)]
    return part ? [part] : []
  })
}

const SHAPES = /<(box|obb|quad|poly|seg)>[\s\S]*?(?:<\/\1>|$)/g
const TAGS = /<\/?[a-z_|]+>|<\/?[a-z_|]*$/gi

/** Make the text that a model has written so far readable: shapes are signs, tags are nothing. */
export function readable(text: string): string {
  return text.replace(SHAPES, ' ▢ ').replace(TAGS, '').replace(/ {2,}/g, ' ').trim()
}
