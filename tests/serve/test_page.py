"""`/` and `/docs` with a build and without: nothing of another host, and a policy that says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from serve.app.page import add_page


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(title="Nadir", docs_url=None, redoc_url=None)

    @app.get("/v1/things")
    def things() -> None:
        """List <things> & more."""

    return app


def test_without_a_build_the_page_says_what_to_do(app: FastAPI, tmp_path: Path) -> None:
    add_page(app, tmp_path / "dist")
    with TestClient(app) as client:
        page, docs = client.get("/"), client.get("/docs")
        assert page.status_code == 200 and "make web" in page.text and "Node.js" in page.text
        assert "GET /v1/things" in docs.text and "List &lt;things&gt; &amp; more." in docs.text
        assert client.get("/assets/page.js").status_code == 404
        assert client.get("/favicon.svg").status_code == 404
        for response in (page, docs):
            assert "http" not in re.sub(r"<h1>.*", "", response.text), "a page loads nothing from elsewhere"
            assert "unsafe" not in response.headers["content-security-policy"]


def test_a_build_is_served_with_its_assets_and_nothing_beside_them(app: FastAPI, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    add_page(app, dist)
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<p>the page</p>")
    (dist / "docs.html").write_text("<p>the docs</p>")
    (dist / "assets" / "page-1.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    with TestClient(app) as client:
        assert client.get("/").text == "<p>the page</p>" and client.get("/docs").text == "<p>the docs</p>"
        script = client.get("/assets/page-1.js")
        assert script.text == "1" and "immutable" in script.headers["cache-control"]
        assert "default-src 'none'" in script.headers["content-security-policy"]
        assert client.get("/").headers["cache-control"] == "no-cache"
        for path in ("/assets/../index.html", "/assets/%2e%2e/%2e%2e/secret", "/assets/..%2f..%2fsecret"):
            assert "secret" not in client.get(path).text


def test_the_page_is_no_route_of_the_api(app: FastAPI, tmp_path: Path) -> None:
    add_page(app, tmp_path)
    assert list(app.openapi()["paths"]) == ["/v1/things"]
