/** The map page of a Nadir server. */
import 'ol/ol.css'
import '@fontsource-variable/inter/wght.css'
import './styles/colours.css'
import './styles/controls.css'
import './styles/layout.css'
import './styles/map.css'
import './styles/chat.css'
import './styles/composer.css'
import './styles/phone.css'
import { App } from './app'
import { fillIcons } from './page/icons'

fillIcons(document)
void new App().start()
