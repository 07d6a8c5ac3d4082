"""What Django REST Framework answers over the same tables (schema.sql), in this process."""

from urllib.parse import urlsplit


def start(stack):
    """Views by name; to be called once."""
    import django
    from django.conf import settings
    from psycopg.conninfo import conninfo_to_dict

    info = conninfo_to_dict(stack.postgres.url)
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": info["dbname"], "USER": info["user"],
                               "HOST": info["host"], "PORT": info["port"]}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.postgres", "rest_framework"],
        REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
                        "DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": [], "UNAUTHENTICATED_USER": None},
        ALLOWED_HOSTS=["*"], USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", ROOT_URLCONF="")
    django.setup()
    return Side(stack.port)


class Side:
    def __init__(self, port):
        from django.db import models
        from rest_framework import filters, generics, pagination, serializers

        class Reading(models.Model):
            name = models.TextField()
            level = models.IntegerField()
            taken_at = models.DateTimeField()

            class Meta:
                app_label, db_table, managed = "contenttypes", "readings", False

        class Article(models.Model):
            id = models.UUIDField(primary_key=True)
            title = models.CharField(max_length=100)
            body = models.TextField()

            class Meta:
                app_label, db_table, managed = "contenttypes", "articles", False
                ordering = ["title", "id"]

        class ReadingSerializer(serializers.ModelSerializer):
            class Meta:
                model, fields = Reading, ["id", "name", "level", "taken_at"]

        class ArticleSerializer(serializers.ModelSerializer):
            class Meta:
                model, fields = Article, ["id", "title", "body"]

        class Pages(pagination.PageNumberPagination):
            page_size = 20

        def by_cursor(order, **options):
            paging = type("Cursors", (pagination.CursorPagination,), {"ordering": order, "page_size": 3, **options})
            view = type("Readings", (generics.ListAPIView,), {
                "queryset": Reading.objects.all(), "serializer_class": ReadingSerializer, "pagination_class": paging,
                "filter_backends": [filters.SearchFilter], "search_fields": ["name"]})
            return view.as_view()

        class Texts(generics.ListAPIView):
            queryset = Article.objects.all()
            serializer_class = ArticleSerializer
            pagination_class = Pages
            filter_backends = [filters.SearchFilter]
            search_fields = ["@title", "@body"]

        self.host = f"127.0.0.1:{port}"
        self.views = {
            "latest": by_cursor(("-taken_at", "-id"), page_size_query_param="page_size", max_page_size=5),
            "levels": by_cursor(("level", "id")),
            "arrivals": by_cursor("id"),
            "texts": Texts.as_view(),
        }

    def get(self, url):
        """(status, body) of a path below /api/v1/, or of a link."""
        from rest_framework.test import APIRequestFactory

        parts = urlsplit(url)
        request = APIRequestFactory().get(parts.path + ("?" + parts.query if parts.query else ""), HTTP_HOST=self.host)
        answer = self.views[parts.path.split("/")[3]](request)
        answer.render()
        return answer.status_code, answer.content


def order_serializer():
    """Of gateway.c's orders."""
    from rest_framework import serializers

    class Address(serializers.Serializer):
        id = serializers.UUIDField(read_only=True)
        street = serializers.CharField(max_length=50)
        city = serializers.CharField(max_length=20)

    class Line(serializers.Serializer):
        id = serializers.UUIDField(read_only=True)
        sku = serializers.CharField(max_length=10)
        count = serializers.IntegerField(required=False, min_value=1)

    class Parcel(serializers.Serializer):
        id = serializers.IntegerField(read_only=True)
        label = serializers.CharField(max_length=20)
        weight = serializers.IntegerField(required=False, allow_null=True)

    class Order(serializers.Serializer):
        id = serializers.UUIDField(read_only=True)
        note = serializers.CharField(max_length=30)
        address = Address(required=False, allow_null=True)
        lines = Line(many=True, max_length=4)
        parcels = Parcel(many=True, max_length=4, required=False)

    return Order
