/** Elements in one expression; text is always text, never markup. */

export type Child = Node | string | null | undefined | false
type Handlers = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void }
type Value = string | number | boolean | null | undefined | Handlers

/** Build an element: attributes by name (false and null leave one out), `on` for handlers, then its children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> & { on?: Handlers } = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') {
      for (const [event, handler] of Object.entries(value as Handlers)) {
        node.addEventListener(event, handler as EventListener)
      }
    } else if (value === true) {
      node.setAttribute(name, '')
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, String(value))
    }
  }
  node.append(
    ...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false),
  )
  return node
}

/** Find an element that index.html has; a missing one is a fault of the page. */
export function find<T extends HTMLElement = HTMLElement>(selector: string, within: ParentNode = document): T {
  const found = within.querySelector<T>(selector)
  if (!found) throw new Error(`the page has no ${selector}`)
  return found
}

const TAIL = 13

/** Write a file's name so that its end, which tells dates apart, is seen where its middle is not. */
export function nameOf(file: string): HTMLElement {
  const cut = Math.max(0, file.length - TAIL)
  return el(
    'b',
    { class: 'name', title: file },
    el('span', {}, file.slice(0, cut)),
    el('span', { class: 'tail' }, file.slice(cut)),
  )
}

/** Hand a file to the browser's downloads. */
export function download(data: Blob, name: string): void {
  const url = URL.createObjectURL(data)
  el('a', { href: url, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
