/** Light, dark, or as the system has it. */
import { find } from './dom'
import { type IconName, icon } from './icons'

type Theme = 'system' | 'light' | 'dark'
const ORDER: Theme[] = ['system', 'light', 'dark']
const NAME = 'nadir:theme'

/** Let a button go through the themes; `changed` hears of every change. */
export function bindTheme(changed: () => void): void {
  const button = find<HTMLButtonElement>('#theme')
  let theme = ORDER.find((known) => known === localStorage.getItem(NAME)) ?? 'system'
  const apply = () => {
    if (theme === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    button.replaceChildren(icon(theme as IconName))
    button.setAttribute('aria-label', `Colours: ${theme}. Change them`)
    button.title = `Colours: ${theme}`
    changed()
  }
  button.addEventListener('click', () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] as Theme
    localStorage.setItem(NAME, theme)
    apply()
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed)
  apply()
}
