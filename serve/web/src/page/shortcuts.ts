/** Keys that work wherever nobody writes. */

/** Bind keys to actions; one key each, without control or alt. */
export function bindShortcuts(actions: Record<string, () => void>, leave: () => void): void {
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      if (!document.querySelector('dialog[open]')) leave()
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return
    const action = actions[event.key.toLowerCase()]
    if (!action || document.querySelector('dialog[open]')) return
    event.preventDefault()
    action()
  })
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}
