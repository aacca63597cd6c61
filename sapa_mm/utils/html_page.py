"""HTML pages that hold all they need."""

import jinja2


def fill_page(package: str, template: str, **content) -> str:
    """Fills in a template; what is not marked as safe is escaped.

    Args:
        package (str): The package in whose folder the template lies.
        template (str): Its file.
        **content: What it refers to; a name that is missing is an error.

    Returns:
        str: The page.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, '.'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(**content)
